"""Runs the suite several times, with load from outside if asked to: does a verdict or a reading change?"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from conformance.cli.main import main as smi_conformance
from conformance.model.exit_codes import ExitCode
from conformance.report import store
from conformance.report.document import Report
from tools import arguments

Said = Mapping[str, str]


def main() -> int:
    """0 when all runs came to the same, 1 when not, 2 when interrupted."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--runs", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument(
        "--load", type=int, default=0, metavar="N", help="keep this many processors busy (default: none)"
    )
    parser.add_argument(
        "--reports",
        default="reports",
        metavar="DIR",
        help="where the reports are kept (default: %(default)s)",
    )
    options = parser.parse_args()
    Path(options.reports).mkdir(parents=True, exist_ok=True)
    kept = Path(tempfile.mkdtemp(prefix="stable-", dir=options.reports))
    runs: list[Said] = []
    with ExitStack() as stack:
        if options.load:
            stack.enter_context(load(options.load))
        for number in range(1, options.runs + 1):
            folder = kept / str(number)
            command = ["run", *arguments.where(options), "--mesh", "reference", "--reports", str(folder)]
            smi_conformance(command)
            (directory,) = folder.iterdir()
            report = store.read(directory)
            if report.run.interrupted:
                return ExitCode.INCONCLUSIVE
            runs.append(said(report))
            print(f"\nrun {number} of {options.runs} is over: {directory}", flush=True)
    changes = changing(runs)
    for one, words in changes.items():
        print(f"{one}: {' | '.join(words)}", file=sys.stderr)
    print(f"{len(runs)} runs, {len(changes)} requirements whose verdict or reading changed")
    return 1 if changes else 0


def said(report: Report) -> Said:
    """What a run says of each requirement: its verdict, and the readings that were seen."""
    return {
        record.id: "; ".join(
            [
                record.outcome,
                *(f"{each.question}: {each.word}" for test in record.tests for each in test.readings),
            ]
        )
        for record in report.requirements
    }


def changing(runs: Sequence[Said]) -> dict[str, list[str]]:
    """The requirements of which not all runs say the same, with what each says."""
    every = dict.fromkeys(one for run in runs for one in run)
    told = {one: [run.get(one, "nothing") for run in runs] for one in every}
    return {one: words for one, words in told.items() if len(set(words)) > 1}


@contextmanager
def load(processors: int) -> Iterator[None]:
    """Work that has nothing to do with the runs."""
    workers = [multiprocessing.Process(target=_toil, daemon=True) for _ in range(processors)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _toil() -> None:
    while True:
        sum(range(100_000))


if __name__ == "__main__":
    sys.exit(main())

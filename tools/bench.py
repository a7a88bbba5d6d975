"""Where a run's time goes: seconds by phase, processor seconds by part, its longest waits and tests.

``--against`` runs another checkout alternately, ``--details`` measures the probe and an edit of a split too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance import profiles
from conformance.clusters import Cluster, selection
from conformance.clusters.embedded.cluster import EmbeddedCluster
from conformance.drive.arena import WORKLOADS
from conformance.drive.traffic import SendOptions
from conformance.model.evidence import Call
from conformance.model.exit_codes import ExitCode
from conformance.report import store
from conformance.run.context import RunContext
from tools import arguments
from tools.processor_time import OTHERS, PARTS, ProcessorTime

REQUESTS = 10_000
ROUNDS = 5
EDITS = 20


@dataclass(frozen=True)
class Measured:
    """A whole run: its report as plain JSON, perhaps of another version, and processor seconds by part."""

    report: dict[str, Any]
    processor_s: dict[str, float]

    @property
    def seconds(self) -> dict[str, float]:
        """The run's seconds by phase."""
        return {phase.removesuffix("_s"): value for phase, value in self.report["timing"].items()}

    def tests(self) -> Iterator[dict[str, Any]]:
        """The judged tests."""
        for record in self.report["requirements"]:
            yield from record["tests"]

    def requests(self) -> int:
        """The requests of all evidence of traffic; a batch that several judges read counts once."""
        batches = {
            json.dumps(each["value"], sort_keys=True): each["value"]["sent"]
            for test in self.tests()
            for each in test["evidence"]
            if each["type"] == "traffic"
        }
        return sum(batches.values())


def main() -> int:
    """Print the figures; they are for comparing changes, so nothing is judged by them."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="whole runs of each (default: %(default)s)")
    parser.add_argument(
        "--against", metavar="DIR", help="another checkout of the project, with what a run needs in its .venv"
    )
    parser.add_argument("--details", action="store_true", help="measure the probe and an edit as well")
    parser.add_argument("--run", default="", metavar="OPTIONS", help="more options of smi-conformance run")
    options = parser.parse_args()
    checkouts = [Path(options.against).absolute()] if options.against else []
    checkouts.append(Path(__file__).parents[1])
    runs: list[list[Measured]] = [[] for _ in checkouts]
    for number in range(options.runs):
        # Alternately, so that a machine that others use as well is as busy for one as for the other.
        for checkout, found in zip(checkouts, runs, strict=True):
            found.append(measure(checkout, options))
            total_s = found[-1].seconds["total"]
            print(f"run {number + 1} of {checkout}: {total_s:.0f} s", file=sys.stderr, flush=True)
    if options.runs:
        print_runs(runs)
        print_slowest(runs[-1][-1])
    if options.details:
        print_details(options)
    return 0


def measure(checkout: Path, options: argparse.Namespace) -> Measured:
    """One whole run of a checkout."""
    with tempfile.TemporaryDirectory(prefix="smi-conformance-") as folder:
        command = [str(checkout / ".venv/bin/smi-conformance"), "run", *arguments.where(options)]
        command += ["--mesh", "reference", "--reports", folder, *options.run.split()]
        with ProcessorTime() as spent:
            # Its own directory: `python -m` of the programs that it starts looks there first.
            ended = subprocess.run(command, cwd=checkout, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
        if ended.returncode not in (ExitCode.HOLDS, ExitCode.BROKEN):
            raise SystemExit(f"{' '.join(command)} ended with exit code {ended.returncode}")
        (directory,) = Path(folder).iterdir()
        report = json.loads((directory / store.JSON).read_text(encoding="utf-8"))
        return Measured(report, dict(spent.seconds))


def print_runs(runs: Sequence[Sequence[Measured]]) -> None:
    """Medians of the runs of each checkout side by side, and the ratio of the last to the first."""
    print("\nseconds of a run" + " (other checkout, this one, ratio)" * (len(runs) > 1))
    for phase in runs[0][0].seconds:
        print_row(phase, [[one.seconds[phase] for one in of] for of in runs])
    print("\nprocessor seconds of a run")
    for part in (*PARTS, OTHERS):
        print_row(part, [[one.processor_s.get(part, 0.0) for one in of] for of in runs])
    print_row("all", [[sum(one.processor_s.values()) for one in of] for of in runs])
    print("\nrequests in the report's evidence")
    print_row("all", [[one.requests() for one in of] for of in runs])


def print_row(name: str, values: Sequence[Sequence[float]]) -> None:
    medians = [statistics.median(each) for each in values]
    ratio = f"{medians[-1] / medians[0]:8.2f}" if len(medians) > 1 and medians[0] else ""
    spreads = "  ".join(f"({min(each):,.0f} to {max(each):,.0f})" for each in values)
    print(f"  {name:<14}" + "".join(f"{median:10,.1f}" for median in medians) + f"{ratio}   {spreads}")


def print_slowest(run: Measured, number: int = 10) -> None:
    """The longest waits for a change, and the longest scenarios, of one run."""
    tests = list(run.tests())
    found = [each for test in tests for each in test["convergences"]]
    waits = {(each["what"], each["took_s"]) for each in found if each["took_s"]}
    print(f"\nthe {number} longest waits, seconds")
    for what, took_s in sorted(waits, key=lambda each: -each[1])[:number]:
        print(f"  {took_s:6.1f}  {what}")
    scenarios: Counter[str] = Counter()
    for test in tests:
        scenarios[test["nodeid"].partition("::")[0].rpartition("suites/")[2]] += test["duration_s"]
    print(f"\nthe {number} longest scenarios, seconds")
    for name, took_s in scenarios.most_common(number):
        print(f"  {took_s:6.1f}  {name}")


def print_details(options: argparse.Namespace) -> None:
    """The probe's rate, the time until an edit is in force, and the cluster's memory."""
    started = time.monotonic()
    with closing(selection.open_cluster(selection.select(options.context), "reference")) as cluster:
        context = RunContext.open(profiles.load("reference"), cluster, image=options.image)
        try:
            context.arena.create(list(WORKLOADS))
            context.arena.wait_ready(list(WORKLOADS))
            ready_s, memory = time.monotonic() - started, memory_mib(cluster)
            rates, updates = probe_rates(context), update_times(context)
        finally:
            context.arena.remove()
    print(f"\nfrom the start to an arena of {len(WORKLOADS)} parts that is ready: {ready_s:.1f} s")
    if memory is not None:
        print(f"memory of the embedded cluster with all its pods: {memory:,.0f} MiB")
    print("probe through two sidecars, requests a second (median of", ROUNDS, "rounds):")
    for way, rate in rates.items():
        print(f"  {way:<32} {rate:8,.0f}")
    print(f"from apply to the first request that it routes, ms (median of {EDITS} edits of a split):")
    print(f"  {statistics.median(updates):6.0f}   ({min(updates):.0f} to {max(updates):.0f})")


def memory_mib(cluster: Cluster) -> float | None:
    """What the processes of an embedded cluster take, in MiB; of shared pages each has its part."""
    if not isinstance(cluster, EmbeddedCluster):
        return None
    total = 0
    for process in cluster.processes():
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def probe_rates(context: RunContext) -> dict[str, float]:
    """Requests a second of one client to one server, by how it sends."""
    ways = {
        "32 kept connections": SendOptions(),
        "one kept connection": SendOptions(concurrency=1),
        "a fresh connection each": SendOptions(new_connections=True),
    }
    rates = {}
    host = context.profile.host("v1", context.arena.namespace("main"))
    for name, way in ways.items():
        requests = REQUESTS if not way.new_connections and way.concurrency > 1 else REQUESTS // 5
        call = Call("main/client", host, 8080, requests=requests)
        rates[name] = statistics.median(one_rate(context, call, way) for _ in range(ROUNDS))
    return rates


def update_times(context: RunContext) -> list[float]:
    """Milliseconds from the call that applies an edit of a split to the first request that follows it.

    The split sends everything to one backend, then to the other. Requests go one after the other without
    pause; each takes a few milliseconds, which is how finely this measures.
    """
    scenario = context.scenario("traffic-split/live-edits")
    scenario.create_services()
    call = scenario.call("main/client", "main/moving", requests=1)
    times = []
    for edit in range(EDITS + 1):
        step, backend = (("1-most-to-v1.yaml", "v1"), ("2-all-to-v2.yaml", "v2"))[edit % 2]
        (split,) = scenario.objects(step)
        split["spec"]["backends"] = [{"service": backend, "weight": 1}]
        start = context.clock.now()
        scenario.apply_objects([split])
        while context.driver.send([call], SendOptions(concurrency=1))[0].answered != {backend: 1}:
            if context.clock.now() - start > context.profile.converge.within_s:
                raise SystemExit(f"the edit that leaves {backend} alone does not show")
        times.append((context.clock.now() - start) * 1000)
    scenario.delete_applied()
    # The first is no edit: it makes the split.
    return times[1:]


def one_rate(context: RunContext, call: Call, way: SendOptions) -> float:
    """One round, including what it takes to carry the plan there and the observations back."""
    start = context.clock.now()
    (traffic,) = context.driver.send([call], way)
    if traffic.answers != traffic.sent:
        raise SystemExit(f"requests failed: {traffic.failures}")
    return traffic.sent / (context.clock.now() - start)


if __name__ == "__main__":
    sys.exit(main())

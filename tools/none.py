"""Runs the suite without a mesh, and makes sure that nothing that is about traffic passes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from conformance.cli.main import main as smi_conformance
from conformance.judge.registry import reads_api_only
from conformance.model.verdict import Verdict
from conformance.report import store
from conformance.report.document import BasisRecord, RequirementRecord
from conformance.text import files
from tools import arguments


def by_traffic(record: RequirementRecord) -> bool:
    """Whether traffic has a part in a verdict: the rest holds wherever the CRDs are installed.

    A test that was not applicable has no part in it.
    """
    bases = [test.basis for test in record.tests if test.basis is not None]
    return not bases or any(_by_traffic(judge) for basis in bases for judge in _judges(basis))


def _by_traffic(judge: str) -> bool:
    return judge != "not_applicable" and not reads_api_only(judge)


def _judges(basis: BasisRecord) -> set[str]:
    """The judges behind a verdict; those of its parts where it is made of several."""
    if basis.judge != "all_of":
        return {basis.judge}
    return {str(part["judge"]) for part in basis.arguments.values() if isinstance(part, dict)}


def _seen(record: RequirementRecord) -> bool:
    return any(reading.observed for test in record.tests for reading in test.readings)


def main() -> int:
    """0 when the run judged everything that it should and nothing about traffic passed, else 1."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--reports", default="reports")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smi-conformance-") as folder:
        command = ["run", *arguments.where(options), "--mesh", "none", "--reports", folder]
        code = smi_conformance(command)
        (directory,) = Path(folder).iterdir()
        report = store.read(directory)
        kept = Path(options.reports) / "none"
        store.write(report, kept)
        files.replace(kept / store.HTML, (directory / store.HTML).read_text(encoding="utf-8"))
    about_traffic = [record for record in report.requirements if by_traffic(record)]
    passed = [record.id for record in about_traffic if record.verdict is Verdict.PASS]
    judged = [record.id for record in about_traffic if record.verdict is not None]
    # A reading that is seen without a mesh is none of a mesh.
    passed += [record.id for record in about_traffic if _seen(record)]
    print(f"without a mesh: {len(judged)} requirements about traffic judged, {len(passed)} passed")
    if passed:
        print(f"FALSE GREEN: {', '.join(passed)}", file=sys.stderr)
    if code != 1:
        print(f"the exit code was {code}, not 1", file=sys.stderr)
    return 1 if passed or not judged or code != 1 else 0


if __name__ == "__main__":
    sys.exit(main())

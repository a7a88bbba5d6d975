"""Runs the suite in the embedded cluster and in a real one, and compares the verdicts, one by one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from conformance.cli import main as smi_conformance
from conformance.report import store
from tests import arguments


def outcomes(where: list[str], mesh: str) -> dict[str, str]:
    """The outcome of each requirement in a run of its own."""
    with tempfile.TemporaryDirectory(prefix="smi-conformance-") as folder:
        smi_conformance(["run", *where, "--mesh", mesh, "--reports", folder])
        (directory,) = Path(folder).iterdir()
        return {record.id: record.outcome for record in store.read(directory).requirements}


def main() -> int:
    """0 when both clusters came to the same verdicts, else 1."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--mesh", default="reference", help="profile (default: %(default)s)")
    options = parser.parse_args()
    embedded = outcomes([], options.mesh)
    real = outcomes(arguments.where(options), options.mesh)
    different = {one for one in embedded | real if embedded.get(one) != real.get(one)}
    for one in sorted(different):
        print(f"{one}: embedded {embedded.get(one)}, {options.context} {real.get(one)}", file=sys.stderr)
    print(f"{len(embedded)} requirements compared, {len(different)} of them with another verdict")
    return 1 if different or not embedded else 0


if __name__ == "__main__":
    sys.exit(main())

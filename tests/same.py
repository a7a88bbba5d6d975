"""Compares the verdicts of the newest runs in the embedded cluster and in a real one, one by one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.clusters.embedded import NAME
from conformance.report import store
from conformance.report.document import Report

SAMPLE = "sample"  # the report that comes with the project, no run of this checkout


def newest(reports: Path, mesh: str, *, embedded: bool) -> Report | None:
    """The report of the last whole run on a mesh in the embedded cluster, or in any other."""
    directories = [document.parent for document in reports.glob("*/report.json")]
    found = [store.read(directory) for directory in directories if directory.name != SAMPLE]
    of_kind = [
        one
        for one in found
        if one.mesh.profile == mesh and (one.cluster.context == NAME) == embedded and not one.run.interrupted
    ]
    return max(of_kind, key=lambda one: one.run.started, default=None)


def main() -> int:
    """0 when both clusters came to the same verdicts, 1 when not, 2 when there is nothing to compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", default="reports", type=Path, help="where they are (default: reports)")
    parser.add_argument("--mesh", default="reference", help="profile (default: %(default)s)")
    options = parser.parse_args()
    ours = newest(options.reports, options.mesh, embedded=True)
    theirs = newest(options.reports, options.mesh, embedded=False)
    if ours is None or theirs is None:
        print("make conformance and make conformance CLUSTER=kind first", file=sys.stderr)
        return 2
    real = {record.id: record.outcome for record in theirs.requirements}
    different = [record for record in ours.requirements if real.get(record.id) != record.outcome]
    for record in different:
        where = theirs.cluster.context
        print(f"{record.id}: embedded {record.outcome}, {where} {real.get(record.id)}", file=sys.stderr)
    print(f"{len(ours.requirements)} requirements compared, {len(different)} with another verdict")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())

"""Compares what the embedded cluster and a real one came to: the newest runs, and each fault run in both."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from conformance.campaign.fault_results import does_not_count
from conformance.clusters.embedded.cluster import NAME
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
        if one.mesh.profile == mesh and (one.cluster.context == NAME) == embedded and _whole(one)
    ]
    return max(of_kind, key=lambda one: one.run.started, default=None)


def _whole(report: Report) -> bool:
    """Whether a run was asked for everything, and came to its end."""
    ended_early = report.run.interrupted or report.counts["not reached"]
    return not (report.headline.partial or ended_early)


def outcomes(report: Report) -> dict[str, str]:
    """What a run came to, by requirement."""
    return {record.id: record.outcome for record in report.requirements}


def starved(*reports: Report) -> set[str]:
    """Requirements of which one of the runs could not tell, as its machine was starved meanwhile.

    Only ambiguous ones: a core requirement that is left open so has made the run itself inconclusive.
    """
    return {
        record.id
        for report in reports
        for record in report.requirements
        if record.level == "ambiguous" and any(map(does_not_count, record.tests))
    }


def campaign(file: Path) -> dict[str, dict[str, str]]:
    """What each fault of a campaign came to, by requirement: its verdict, and the readings that were seen."""
    if not file.exists():
        return {}
    found: list[Mapping[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return {
        fault["fault"]: {
            one: "; ".join([verdict, *fault["readings"].get(one, ())])
            for one, verdict in fault["verdicts"].items()
        }
        for fault in found
    }


def different(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[str]:
    """The requirements of which both do not say the same, with what each says."""
    for one in sorted({*ours, *theirs}):
        if ours.get(one) != theirs.get(one):
            yield f"{one}: embedded {ours.get(one, 'not judged')}, kind {theirs.get(one, 'not judged')}"


def main() -> int:
    """0 when both clusters came to the same verdicts, 1 when not, 2 when there is nothing to compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", default="reports", type=Path, help="where they are (default: reports)")
    parser.add_argument(
        "--faults", default="build", type=Path, help="where campaigns left theirs (default: build)"
    )
    parser.add_argument("--mesh", default="reference", help="profile (default: %(default)s)")
    options = parser.parse_args()
    ours = newest(options.reports, options.mesh, embedded=True)
    theirs = newest(options.reports, options.mesh, embedded=False)
    if ours is None or theirs is None:
        print("make conformance and make conformance CLUSTER=kind first", file=sys.stderr)
        return 2
    untold = starved(ours, theirs)
    differences = [
        line for line in different(outcomes(ours), outcomes(theirs)) if line.partition(":")[0] not in untold
    ]
    embedded, kind = (campaign(options.faults / f"faults-{cluster}.json") for cluster in ("embedded", "kind"))
    both = [fault for fault in embedded if fault in kind]
    differences += [
        f"fault {fault}: {line}" for fault in both for line in different(embedded[fault], kind[fault])
    ]
    print("\n".join(differences), file=sys.stderr, end="\n" if differences else "")
    for one in sorted(untold):
        print(f"not compared, as the machine was starved meanwhile: {one}", file=sys.stderr)
    print(
        f"{len(ours.requirements) - len(untold)} requirements and {len(both)} faults compared, "
        f"{len(differences)} with another verdict"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())

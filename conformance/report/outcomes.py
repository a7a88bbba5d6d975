"""Outcomes as a reader sees them: symbols, meanings and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from conformance.report.document import Outcome, RequirementRecord

SYMBOLS: Mapping[Outcome, str] = {
    "pass": "✓",
    "fail": "✗",
    "inconclusive": "?",
    "observed": "◎",
    "not observed": "◌",
    "not claimed": "–",
    "untested": "○",
    "in other versions": "∨",
    "not selected": "·",
    "not reached": "…",
}
"""Beside colours and words, so that outcomes are distinguishable without colour."""

PARTIAL = "◐"
"""Symbol of a partial run without failures."""

MEANINGS: Mapping[Outcome, str] = {
    "pass": "the requirement holds, and the test could have detected a violation",
    "fail": "the mesh violated the requirement",
    "inconclusive": "no conclusion was possible; neither for nor against the mesh",
    "observed": "the specification is silent or contradicts itself; behaviour is reported, not judged",
    "not observed": "the specification leaves it open, and the mesh's behaviour could not be observed",
    "not claimed": "the mesh's profile does not claim it",
    "untested": "this suite has no test of it",
    "in other versions": "it applies to API versions that the mesh claims and this run did not use",
    "not selected": "left out of this run by the user",
    "not reached": "the run ended earlier",
}

EXIT_MEANINGS: Mapping[int, str] = {
    0: "every selected and claimed core requirement passed",
    1: "a core requirement failed",
    2: "a core requirement is inconclusive, none was judged, or the run was interrupted",
}


def tally(records: Iterable[RequirementRecord]) -> dict[Outcome, int]:
    """The number of requirements by outcome, most severe first, without zeros."""
    counts: dict[Outcome, int] = dict.fromkeys(SYMBOLS, 0)
    for record in records:
        counts[record.outcome] += 1
    return {outcome: number for outcome, number in counts.items() if number}

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
"""Beside colours and words, so that neither colour nor print is needed to tell outcomes apart."""

PARTIAL = "◐"
"""Before the headline of a run of a part in which nothing failed."""

MEANINGS: Mapping[Outcome, str] = {
    "pass": "the requirement holds, and the test could have seen it broken",
    "fail": "the mesh was seen to break the requirement",
    "inconclusive": "it could not be observed; neither for nor against the mesh",
    "observed": "the specification is silent or contradicts itself; what the mesh does is told, not judged",
    "not observed": "the specification leaves it open, and what the mesh does could not be seen",
    "not claimed": "the mesh's profile does not claim it",
    "untested": "this suite has no test of it; nothing is known",
    "in other versions": "it is about versions that the mesh claims and this run does not speak",
    "not selected": "left out of this run by the user",
    "not reached": "the run ended before it",
}

EXIT_MEANINGS: Mapping[int, str] = {
    0: "every core requirement that was selected and claimed passed",
    1: "a core requirement failed",
    2: "a core requirement is inconclusive, none was judged, or the run was interrupted",
}


def tally(records: Iterable[RequirementRecord]) -> dict[Outcome, int]:
    """How many came out how, without the outcomes that did not occur, in the order of severity."""
    counts: dict[Outcome, int] = dict.fromkeys(SYMBOLS, 0)
    for record in records:
        counts[record.outcome] += 1
    return {outcome: number for outcome, number in counts.items() if number}

"""How edits propagate under steady traffic: when the old state last answered, and whether it came back."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.judge.phrasing import listed, number, pluralize, sentences
from conformance.model.evidence import Edit, EditTimeline, Propagation

HELD_S = 0.1
"""Seconds of answers by the new state alone after which it holds. A proxy's threads may apply a
configuration one after another, within milliseconds: answers that alternate that fast are no flapping."""


@dataclass(frozen=True, slots=True)
class EditPropagation:
    """How one edit propagated, counted in answers to requests sent after the API server had accepted it.

    ``old`` counts the answers up to the last by the old state before the new one held, None if it never held;
    ``back`` counts the answers by another state afterwards.
    """

    old: int | None
    back: int


def outcome(timeline: EditTimeline) -> Propagation:
    """How the edits propagated, all of them together."""
    found = propagations(timeline)
    if not found or any(one.old is None for one in found):
        return "never"
    if any(one.back for one in found):
        return "flapping"
    if timeline.cut_short:
        return "never"
    return "later" if any(one.old for one in found) else "at once"


def propagations(timeline: EditTimeline) -> list[EditPropagation]:
    """How each edit propagated."""
    return [_propagation(timeline, one) for one in timeline.edits]


def _propagation(timeline: EditTimeline, edit: Edit) -> EditPropagation:
    least = max(1, round(HELD_S * timeline.rate_per_s))
    position = old = 0
    held, back = False, 0
    for server, count in _within(timeline, edit):
        if held:
            back += count if server != edit.new else 0
        elif server == edit.new:
            held = count >= least
        else:
            old = position + count
        position += count
    return EditPropagation(old if held else None, back)


def _within(timeline: EditTimeline, edit: Edit) -> list[tuple[str, int]]:
    """The runs of answers between an edit and the next."""
    found: list[tuple[str, int]] = []
    start = 0
    # Servers count requests whose answers were lost, so that many fewer answers are known to be earlier.
    until = edit.until - timeline.unanswered
    for server, count in timeline.runs:
        first, last = max(start, edit.since), min(start + count, until)
        if first < last:
            found.append((server, last - first))
        start += count
    return found


def describe(timeline: EditTimeline) -> str:
    """The propagation as a sentence, with the times until which the old state answered."""
    found = propagations(timeline)
    if not found:
        return "no edit was made"
    delays = [_ms(one.old / timeline.rate_per_s) for one in found if one.old is not None]
    back, missing = sum(one.back for one in found), len(found) - len(delays)
    return sentences(
        (
            pluralize(len(found), "edit"),
            f"the old state seen until {listed(delays)} after they were accepted" if delays else "",
            f"{pluralize(back, 'answer')} by the old state after the new one had held" if back else "",
            f"{pluralize(missing, 'edit')} never held" if missing else "",
            "the last edit was observed too briefly" if timeline.cut_short and not missing else "",
        )
    )


def _ms(seconds: float) -> str:
    return f"{number(round(1000 * seconds))} ms"

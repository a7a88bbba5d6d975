"""Whether a mesh tells at an object what of it has no effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.evidence import ApiRead, Attempt
from conformance.judge.registry import judge
from conformance.judge.words import several, short
from conformance.verdict import Judgement, Verdict


@judge
def told_at(
    before: ApiRead, after: ApiRead, sent: Attempt, kind: str, name: str, what: str, within_s: float
) -> Judgement:
    """An Event about the object names ``what`` of it has no effect, or the object is refused for it.

    ``sent`` is the object put to the API server for trial. ``before`` are the Events that were there before
    it was created, which an earlier object of that name may have left.
    """
    asked = f"an Event about {kind} {name} names {what}, or admission refuses it and does"
    if not sent.accepted and what in sent.message:
        return Judgement(Verdict.PASS, f"refused at admission: {short(sent.message, 200)}", expected=asked)
    for read in (before, after):
        if read.status != 200:
            reason = f"events could not be read: HTTP {read.status} at {read.path}"
            return Judgement(Verdict.INCONCLUSIVE, reason, expected=asked)
    if not sent.accepted:
        reason = f"refused for something else: {short(sent.message, 200)}"
        return Judgement(Verdict.INCONCLUSIVE, reason, expected=asked)
    earlier = [_identity(event) for event in _events(before)]
    new = [event for event in _events(after) if _identity(event) not in earlier]
    about = [event for event in new if _is_about(event, kind, name)]
    naming = [event for event in about if what in str(event.get("message", ""))]
    if naming:
        return Judgement(Verdict.PASS, f"told: {short(naming[0]['message'], 200)}", expected=asked)
    others = f", {several(len(about), 'event')} without it" if about else ""
    return Judgement(
        Verdict.FAIL,
        f"no event about {kind} {name} names {what} within {within_s:g} s{others}",
        expected=asked,
        hint="an event at another object, or in a log only, is not seen by who wrote the split",
    )


def _events(read: ApiRead) -> list[Mapping[str, Any]]:
    items = read.body.get("items") if isinstance(read.body, Mapping) else None
    return [event for event in items or () if isinstance(event, Mapping)]


def _identity(event: Mapping[str, Any]) -> tuple[str, Any]:
    # One that happens again may be counted up instead of written anew.
    return str(event.get("metadata", {}).get("name")), event.get("count")


def _is_about(event: Mapping[str, Any], kind: str, name: str) -> bool:
    involved = event.get("involvedObject") or {}
    return (involved.get("kind"), involved.get("name")) == (kind, name)

"""Whether a mesh reports, at an object, the parts of it that have no effect."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from conformance.judge.phrasing import pluralize, short
from conformance.judge.registry import judge
from conformance.model.evidence import AdmissionAttempt, ApiRead
from conformance.model.verdict import Judgement, Verdict

_WORD = re.compile(r"[\w-]+")


@judge
def misconfiguration_reported(
    baseline: ApiRead,
    after: ApiRead,
    sent: AdmissionAttempt,
    kind: str,
    name: str,
    what: str,
    within_s: float,
    sound: ApiRead,
    sound_sent: AdmissionAttempt,
    twins: Mapping[str, str],
) -> Judgement:
    """An Event about the object names ``what``, its part without effect, or the object is refused for it.

    ``sent`` is the object's dry run, ``after`` the Events once it exists. ``baseline`` are the Events from
    before its creation, which an earlier object of that name may have left.

    ``sound`` and ``sound_sent`` are the Events and the dry run of a sound object, equal except for its names,
    which ``twins`` maps to their counterparts. It is the null control: an Event that it causes as well proves
    nothing about ``what``.
    """
    expected = (
        f"an Event about {kind} {name}, or the refusal by admission, names {what}; "
        "no such Event about a sound object"
    )
    if not sent.accepted and what in sent.message and sound_sent.accepted:
        return Judgement(Verdict.PASS, f"refused at admission: {short(sent.message, 200)}", expected=expected)
    if reason := _unobservable_because((baseline, after, sound), sent, sound_sent):
        return Judgement(Verdict.INCONCLUSIVE, reason, expected=expected)
    earlier = [_identity(event) for event in _events(baseline)]
    new = [event for event in _events(after) if _identity(event) not in earlier]
    about = [event for event in new if _is_about(event, kind, name)]
    naming = [event for event in about if what in str(event.get("message", ""))]
    counterparts = {twin for twin, here in twins.items() if here == name}
    sound_events = [
        event for event in _events(sound) if any(_is_about(event, kind, twin) for twin in counterparts)
    ]
    common = {_content(event, twins) for event in sound_events}
    specific = [event for event in naming if _content(event, twins) not in common]
    if specific:
        return Judgement(Verdict.PASS, f"reported: {short(specific[0]['message'], 200)}", expected=expected)
    others = f", {pluralize(len(about), 'event')} without it" if about else ""
    if naming:
        others = f"; the same is reported about a sound object: {short(naming[0]['message'], 200)}"
    return Judgement(
        Verdict.FAIL,
        f"no event about {kind} {name} names {what} within {within_s:g} s{others}",
        expected=expected,
        hint="an event about another object, or a line in a log, does not reach the author of the object",
    )


def _unobservable_because(
    reads: Iterable[ApiRead], sent: AdmissionAttempt, sound_sent: AdmissionAttempt
) -> str:
    """Why no conclusion is possible; empty when one is."""
    for read in reads:
        if read.status != 200:
            return f"events could not be read: HTTP {read.status} at {read.path}"
    if not sound_sent.accepted:
        return f"the sound object is refused as well: {short(sound_sent.message, 200)}"
    return "" if sent.accepted else f"refused for another reason: {short(sent.message, 200)}"


def _content(event: Mapping[str, Any], twins: Mapping[str, str]) -> tuple[str, str, frozenset[str]]:
    """Type, reason and words of an event, with the names of twins replaced.

    Ignores the order of words, which a mesh may not keep, and words with digits, such as versions and ports,
    which differ between any two objects.
    """
    words = [twins.get(word, word) for word in _WORD.findall(str(event.get("message", "")))]
    names = set(twins.values())
    said = frozenset(word for word in words if word in names or not any(map(str.isdigit, word)))
    return str(event.get("type")), str(event.get("reason")), said


def _events(read: ApiRead) -> list[Mapping[str, Any]]:
    items = read.body.get("items") if isinstance(read.body, Mapping) else None
    return [event for event in items or () if isinstance(event, Mapping)]


def _identity(event: Mapping[str, Any]) -> tuple[str, Any]:
    # A repeated event may be counted up instead of written anew.
    return str(event.get("metadata", {}).get("name")), event.get("count")


def _is_about(event: Mapping[str, Any], kind: str, name: str) -> bool:
    involved = event.get("involvedObject") or {}
    return (involved.get("kind"), involved.get("name")) == (kind, name)

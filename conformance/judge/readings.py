"""Which reading of an ambiguous requirement a mesh follows. These judges never fail a mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.evidence import Look, Question, Traffic
from conformance.judge import conversions, courses, seen, stops
from conformance.judge.registry import judge
from conformance.judge.words import counted, sentences
from conformance.verdict import Judgement, Reading, Verdict


@judge
def reading(effect: Judgement, questions: Sequence[Question], bystander: Judgement) -> Judgement:
    """The reading of each question that the evidence shows, in the words of what was seen.

    ``effect`` is a judgement of the same scenario: an effect in force in the same client, without which what
    is seen cannot be told from no mesh. ``bystander`` is one of an unrelated object that was edited after the
    objects in question, or ``effect`` itself; where it fails they have stopped what they have nothing to do
    with, which no reading excuses. A question may have an edit of its own, and be told by that.
    """
    if not effect.passed or not questions:
        why = (
            f"cannot be told from no mesh: no effect was seen in force ({effect.summary})"
            if questions
            else "nothing was tried"
        )
        return Judgement(Verdict.INCONCLUSIVE, f"not observed: {why}")
    stopped = ""
    if bystander.verdict is Verdict.FAIL:
        stopped = f"what is unrelated no longer takes effect ({bystander.summary})"
    by_question: dict[str, list[Question]] = {}
    for one in questions:
        by_question.setdefault(one.of, []).append(one)
    found = tuple(_answer(of, trials, stopped) for of, trials in by_question.items())
    if all(one.unasked for one in questions):
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"not observed: {sentences(dict.fromkeys(one.unasked for one in questions))}",
            readings=found,
        )
    return Judgement(
        Verdict.PASS,
        sentences(f"{one.question}: {f'({one.letter}), ' if one.letter else ''}{one.seen}" for one in found),
        hint=sentences(dict.fromkeys(one.finding for one in found if one.finding)),
        readings=found,
    )


def _answer(of: str, trials: Sequence[Question], stopped: str) -> Reading:
    """The reading that all trials of a question fit, or the first such one; none where they fit none."""
    looks = [_recognised(one) for one in trials]
    letters = [one for one in _letters(looks[0]) if all(one in _letters(look) for look in looks)]
    told = [f"{one.name}: {_seen(one)}" for one in trials]
    findings = [look.finding for look in looks if look and look.finding]
    findings += [stop for one in trials if (stop := stops.finding(one))]
    return Reading(
        of,
        letters[0] if letters else "",
        sentences(told),
        sentences(dict.fromkeys([*findings, stopped] if stopped else findings)),
    )


def _letters(look: Look | None) -> str:
    return look.letter if look else ""


def _recognised(one: Question) -> Look | None:
    """How it looks; nothing is told by what was there before and could not change."""
    stopped = one.bystander is not None and not one.bystander.settled
    if one.unasked or (stopped and _unchanged(one)):
        return None
    return next((look for look in one.looks if _fits(one, look)), None)


def _fits(one: Question, look: Look) -> bool:
    if one.conversion is not None or look.reads:
        return one.conversion is not None and look.reads == conversions.outcome(one.conversion)
    if one.course is not None or look.arrives:
        return one.course is not None and look.arrives == courses.outcome(one.course)
    if one.refusal is not None or one.sample is None:
        return look.refused and one.refusal is not None
    if look.refused:
        return False
    if look.kept is not None and look.kept != _kept(one):
        return False
    if look.most and 2 * one.sample.answered.get(look.most, 0) <= one.sample.answers:
        return False
    answering = {name for name in one.sample.answered if one.sample.answered[name]}
    reached = {name for name, count in one.sample.reached.items() if count}
    fails = one.sample.answers < one.sample.sent
    return answering | reached == set(look.by) and fails == (look.failing or not look.by)


def _kept(one: Question) -> bool | None:
    """Whether the field in question was stored; None where the question is about none."""
    if one.stored is None or not one.field:
        return None
    value: object = one.stored.returned
    for part in one.field.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False
    return True


def _seen(one: Question) -> str:
    if one.conversion is not None:
        return conversions.told(one.conversion)
    if one.course is not None:
        return courses.told(one.course)
    if one.refusal is not None:
        return f"refused (HTTP {one.refusal.status})"
    if one.unasked:
        return f"not observed, {one.unasked}"
    if one.sample is None or not one.sample.sent:
        return "nothing was sent"
    stored = {None: "", True: f"stored with {one.field}; ", False: f"stored without {one.field}; "}
    return stored[_kept(one)] + _told(one.sample) + _unchanged(one)


def _told(sample: Traffic) -> str:
    unanswered = {name: count for name, count in sample.reached.items() if not sample.answered.get(name)}
    return sentences(
        (
            f"answered by {counted(sample.answered)}" if sample.answers else "",
            f"reached {counted(unanswered)}, unanswered" if any(unanswered.values()) else "",
            seen.failed(sample),
        )
    )


def _unchanged(one: Question) -> str:
    """Says so where the object in question changed nothing."""
    if one.before is None or one.sample is None:
        return ""
    same = set(one.before.answered) == set(one.sample.answered)
    lost = (one.before.answers < one.before.sent) == (one.sample.answers < one.sample.sent)
    return " (as without the object)" if same and lost else ""

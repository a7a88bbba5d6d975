"""Which reading of an ambiguous requirement a mesh follows. These judges never fail a mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from conformance.judge import conversions, edit_timeline, stopped_mesh, traffic_checks
from conformance.judge.phrasing import format_counts, sentences
from conformance.judge.registry import judge
from conformance.model.evidence import Behaviour, Traffic, TrialResult
from conformance.model.verdict import Judgement, Reading, Verdict


@judge
def reading(effect: Judgement, questions: Sequence[TrialResult], unrelated_edit: Judgement) -> Judgement:
    """The reading of each question that the evidence shows, in the words of what was seen.

    ``effect`` is a judgement of the same scenario: an effect in force in the same client, without which what
    is seen cannot be told from no mesh. ``unrelated_edit`` is one of an unrelated object that was edited
    after the objects in question, or ``effect`` itself; a question that has one of its own is judged by that.
    Where that edit is not in force, traffic as without the object shows no more than what was there before:
    no reading is told of it. Where it fails, the objects have stopped what they have nothing to do with,
    which no reading excuses: a finding, told once of what several objects share.
    """
    if not effect.passed or not questions:
        why = (
            f"cannot be told from no mesh: no effect was seen in force ({effect.summary})"
            if questions
            else "nothing was tried"
        )
        return Judgement(Verdict.INCONCLUSIVE, f"not observed: {why}")
    if all(one.unasked for one in questions):
        why = sentences(dict.fromkeys(one.unasked for one in questions))
        return Judgement(Verdict.INCONCLUSIVE, f"not observed: {why}", readings=_not_tried(questions))
    by_question: dict[str, list[TrialResult]] = {}
    for one in questions:
        by_question.setdefault(one.question, []).append(one)
    found = _with_stopped(
        [_answer(of, trials, unrelated_edit) for of, trials in by_question.items()], questions, unrelated_edit
    )
    seen_any = any(one.observed for one in found)
    described = sentences(f"{one.question}: {_prefix(one)}{one.seen}" for one in found)
    return Judgement(
        Verdict.PASS if seen_any else Verdict.INCONCLUSIVE,
        described
        if seen_any
        else f"not observed: {sentences(f'{one.question}: {one.seen}' for one in found)}",
        hint=sentences(dict.fromkeys(one.finding for one in found if one.finding)),
        readings=found,
    )


def _prefix(one: Reading) -> str:
    if not one.observed:
        return "not observed: "
    return f"({one.letter}), " if one.letter else ""


def _with_stopped(
    found: Sequence[Reading], questions: Sequence[TrialResult], unrelated_edit: Judgement
) -> tuple[Reading, ...]:
    """The readings, with the finding that the objects together stopped what is unrelated.

    Which of them did so is not known, and one of them is enough: it stands at the first reading alone.
    """
    shared = [one.question for one in questions if one.unrelated_edit is None]
    if unrelated_edit.verdict is not Verdict.FAIL or not shared:
        return tuple(found)
    stopped = f"{_STOPPED} ({unrelated_edit.summary})"
    return tuple(
        replace(one, finding=sentences((one.finding, stopped))) if one.question == shared[0] else one
        for one in found
    )


_STOPPED = "what is unrelated no longer takes effect"


def _answer(of: str, trials: Sequence[TrialResult], unrelated_edit: Judgement) -> Reading:
    """The reading that all trials of a question fit, or the first such one; none where they fit none.

    A question of which one trial tells nothing is not observed: that one might have told readings apart.
    """
    obstacles = [_not_observed_because(one, unrelated_edit) for one in trials]
    looks = [None if why else _matching_behaviour(one) for one, why in zip(trials, obstacles, strict=True)]
    letters = [one for one in _letters(looks[0]) if all(one in _letters(look) for look in looks)]
    described = [
        f"{one.name}: {_describe_result(one)}{f', {why}' if why and not one.unasked else ''}"
        for one, why in zip(trials, obstacles, strict=True)
    ]
    findings = [look.finding for look in looks if look and look.finding]
    findings += [stop for one in trials if (stop := stopped_mesh.finding(one))]
    return Reading(
        of,
        letters[0] if letters else "",
        sentences(described),
        sentences(dict.fromkeys(findings)),
        observed=not any(obstacles),
    )


def _not_tried(questions: Sequence[TrialResult]) -> tuple[Reading, ...]:
    """The readings of questions of which none was asked: none, for the reason that each has."""
    by_question = {one.question: one for one in questions}
    return tuple(
        Reading(of, "", f"{one.name}: {_describe_result(one)}", stopped_mesh.finding(one), observed=False)
        for of, one in by_question.items()
    )


def _not_observed_because(one: TrialResult, unrelated_edit: Judgement) -> str:
    """Why a trial tells no reading from another; empty where it does."""
    if one.unasked:
        return one.unasked
    if one.conversion is not None or one.refusal is not None:
        return ""
    if one.timeline is not None:
        never = edit_timeline.outcome(one.timeline) == "never" and _matching_behaviour(one) is None
        return "so that no edit was seen to its end" if never else ""
    if one.sample is None or not one.sample.sent:
        return "so that nothing is known"
    # Of a name that there is nobody of, not to resolve is what is seen.
    if (unresolved := traffic_checks.unresolved(one.sample)) and not (
        one.baseline and traffic_checks.unresolved(one.baseline)
    ):
        return unresolved
    in_force = unrelated_edit.passed if one.unrelated_edit is None else one.unrelated_edit.converged
    if in_force or (one.baseline is not None and not _same_responders(one.baseline, one.sample)):
        return ""
    return "which says nothing, as the mesh was not seen to take up a later edit either"


def _letters(look: Behaviour | None) -> str:
    return look.letter if look else ""


def _matching_behaviour(one: TrialResult) -> Behaviour | None:
    return next((look for look in one.looks if _matches(one, look)), None)


def _matches(one: TrialResult, look: Behaviour) -> bool:
    if one.conversion is not None or look.reads:
        return one.conversion is not None and look.reads == conversions.outcome(one.conversion)
    if one.timeline is not None or look.propagation:
        return one.timeline is not None and look.propagation == edit_timeline.outcome(one.timeline)
    if one.refusal is not None or one.sample is None:
        return look.refused and one.refusal is not None
    if look.refused or _unresolved(one):
        return False
    if look.field_stored is not None and look.field_stored != _field_was_stored(one):
        return False
    if look.majority and 2 * one.sample.answered.get(look.majority, 0) <= one.sample.answers:
        return False
    answering = {name for name in one.sample.answered if one.sample.answered[name]}
    reached = {name for name, count in one.sample.received.items() if count}
    fails = one.sample.answers < one.sample.sent
    return answering | reached == set(look.answered_by) and fails == (look.failing or not look.answered_by)


def _field_was_stored(one: TrialResult) -> bool | None:
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


def _describe_result(one: TrialResult) -> str:
    if one.conversion is not None:
        return conversions.describe(one.conversion)
    if one.timeline is not None:
        return edit_timeline.describe(one.timeline)
    if one.refusal is not None:
        return f"refused (HTTP {one.refusal.status})"
    if one.unasked:
        return f"not observed, {one.unasked}"
    if one.sample is None or not one.sample.sent:
        return "nothing was sent"
    stored = {None: "", True: f"stored with {one.field}; ", False: f"stored without {one.field}; "}
    return (
        stored[_field_was_stored(one)]
        + _describe_answers(one.sample, _unresolved(one))
        + _describe_unchanged(one)
    )


def _unresolved(one: TrialResult) -> str:
    """Requests that found no address, which shows no reading.

    Where there was none before either the trial may be about a service that is not there.
    """
    if one.sample is None or (one.baseline is not None and traffic_checks.unresolved(one.baseline)):
        return ""
    return traffic_checks.unresolved(one.sample)


def _describe_answers(sample: Traffic, unresolved: str) -> str:
    unanswered = {name: count for name, count in sample.received.items() if not sample.answered.get(name)}
    return sentences(
        (
            f"answered by {format_counts(sample.answered)}" if sample.answers else "",
            f"reached {format_counts(unanswered)}, unanswered" if any(unanswered.values()) else "",
            unresolved or traffic_checks.failed(sample),
        )
    )


def _describe_unchanged(one: TrialResult) -> str:
    """Says so where the object in question changed nothing."""
    if one.baseline is None or one.sample is None or not _same_responders(one.baseline, one.sample):
        return ""
    return " (as without the object)"


def _same_responders(baseline: Traffic, sample: Traffic) -> bool:
    """Whether the same workloads answer, and requests fail where some did before."""
    lost = (baseline.answers < baseline.sent) == (sample.answers < sample.sent)
    return set(baseline.answered) == set(sample.answered) and lost

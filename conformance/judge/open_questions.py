"""Which reading (interpretation) of an ambiguous requirement a mesh follows. A reading never fails a mesh."""

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
    """The reading of each question that the evidence shows, with a summary of the evidence.

    ``effect`` is a judgement of the same scenario: an effect in force for the same client, without which the
    evidence is indistinguishable from no mesh. ``unrelated_edit`` is a judgement of an unrelated object that
    was edited after the objects in question, or ``effect`` itself; a trial with an edit of its own is judged
    by that. If the edit is not in force, traffic as without the object may only show the state before it: no
    reading is observed. If the edit fails, the objects broke something unrelated, which no reading excuses: a
    finding, reported once for all objects that share the edit.
    """
    if not effect.passed or not questions:
        why = (
            f"indistinguishable from no mesh: no effect was in force ({effect.summary})"
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


def _prefix(answer: Reading) -> str:
    if not answer.observed:
        return "not observed: "
    return f"({answer.letter}), " if answer.letter else ""


def _with_stopped(
    found: Sequence[Reading], questions: Sequence[TrialResult], unrelated_edit: Judgement
) -> tuple[Reading, ...]:
    """The readings, with the finding that the objects broke something unrelated.

    The responsible object is unknown, so only the first reading has the finding.
    """
    shared = [one.question for one in questions if one.unrelated_edit is None]
    if unrelated_edit.verdict is not Verdict.FAIL or not shared:
        return tuple(found)
    stopped = f"{_STOPPED} ({unrelated_edit.summary})"
    return tuple(
        replace(one, finding=sentences((one.finding, stopped))) if one.question == shared[0] else one
        for one in found
    )


_STOPPED = "an unrelated object no longer takes effect"


def _answer(of: str, trials: Sequence[TrialResult], unrelated_edit: Judgement) -> Reading:
    """The first reading that all trials of a question fit; none if they fit none in common.

    A question with an indecisive trial is not observed: that trial might have distinguished the readings.
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
    """Empty readings for questions whose trials were all left out, each with its reason."""
    by_question = {one.question: one for one in questions}
    return tuple(
        Reading(of, "", f"{one.name}: {_describe_result(one)}", stopped_mesh.finding(one), observed=False)
        for of, one in by_question.items()
    )


def _not_observed_because(trial: TrialResult, unrelated_edit: Judgement) -> str:
    """Why a trial distinguishes no readings; empty if it does."""
    if trial.unasked:
        return trial.unasked
    if trial.conversion is not None or trial.refusal is not None:
        return ""
    if trial.timeline is not None:
        never = edit_timeline.outcome(trial.timeline) == "never" and _matching_behaviour(trial) is None
        return "so no edit was observed to its end" if never else ""
    if trial.sample is None or not trial.sample.sent:
        return "so nothing is known"
    # A name without a Service is expected not to resolve.
    if (unresolved := traffic_checks.unresolved(trial.sample)) and not (
        trial.baseline and traffic_checks.unresolved(trial.baseline)
    ):
        return unresolved
    in_force = unrelated_edit.passed if trial.unrelated_edit is None else trial.unrelated_edit.converged
    if in_force or (trial.baseline is not None and not _same_responders(trial.baseline, trial.sample)):
        return ""
    return "which is inconclusive, as a later edit did not show either"


def _letters(look: Behaviour | None) -> str:
    return look.letter if look else ""


def _matching_behaviour(trial: TrialResult) -> Behaviour | None:
    return next((look for look in trial.looks if _matches(trial, look)), None)


def _matches(trial: TrialResult, look: Behaviour) -> bool:
    if trial.conversion is not None or look.reads:
        return trial.conversion is not None and look.reads == conversions.outcome(trial.conversion)
    if trial.timeline is not None or look.propagation:
        return trial.timeline is not None and look.propagation == edit_timeline.outcome(trial.timeline)
    if trial.refusal is not None or trial.sample is None:
        return look.refused and trial.refusal is not None
    if look.refused or _unresolved(trial):
        return False
    if look.field_stored is not None and look.field_stored != _field_was_stored(trial):
        return False
    if look.majority and 2 * trial.sample.answered.get(look.majority, 0) <= trial.sample.answers:
        return False
    answering = {name for name in trial.sample.answered if trial.sample.answered[name]}
    reached = {name for name, count in trial.sample.received.items() if count}
    fails = trial.sample.answers < trial.sample.sent
    return answering | reached == set(look.answered_by) and fails == (look.failing or not look.answered_by)


def _field_was_stored(trial: TrialResult) -> bool | None:
    """Whether the field in question was stored; None if the question concerns no field."""
    if trial.stored is None or not trial.field:
        return None
    value: object = trial.stored.returned
    for part in trial.field.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False
    return True


def _describe_result(trial: TrialResult) -> str:
    if trial.conversion is not None:
        return conversions.describe(trial.conversion)
    if trial.timeline is not None:
        return edit_timeline.describe(trial.timeline)
    if trial.refusal is not None:
        return f"refused (HTTP {trial.refusal.status})"
    if trial.unasked:
        return f"not observed, {trial.unasked}"
    if trial.sample is None or not trial.sample.sent:
        return "nothing was sent"
    stored = {None: "", True: f"stored with {trial.field}; ", False: f"stored without {trial.field}; "}
    return (
        stored[_field_was_stored(trial)]
        + _describe_answers(trial.sample, _unresolved(trial))
        + _describe_unchanged(trial)
    )


def _unresolved(trial: TrialResult) -> str:
    """Requests whose host name did not resolve, which shows no reading; empty if all resolved.

    Empty as well if the name did not resolve in the baseline: the trial may concern a missing service.
    """
    if trial.sample is None or (trial.baseline is not None and traffic_checks.unresolved(trial.baseline)):
        return ""
    return traffic_checks.unresolved(trial.sample)


def _describe_answers(sample: Traffic, unresolved: str) -> str:
    unanswered = {name: count for name, count in sample.received.items() if not sample.answered.get(name)}
    return sentences(
        (
            f"answered by {format_counts(sample.answered)}" if sample.answers else "",
            f"reached {format_counts(unanswered)}, unanswered" if any(unanswered.values()) else "",
            unresolved or traffic_checks.failed(sample),
        )
    )


def _describe_unchanged(trial: TrialResult) -> str:
    """A remark if the object in question changed nothing."""
    if trial.baseline is None or trial.sample is None or not _same_responders(trial.baseline, trial.sample):
        return ""
    return " (as without the object)"


def _same_responders(baseline: Traffic, sample: Traffic) -> bool:
    """Whether the same workloads answer, and requests fail in both or in neither."""
    lost = (baseline.answers < baseline.sent) == (sample.answers < sample.sent)
    return set(baseline.answered) == set(sample.answered) and lost

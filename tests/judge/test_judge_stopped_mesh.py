"""The finding about an object that stops a mesh, and readings that it makes unobservable."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judge_evidence import CONVERGED, NOT_CONVERGED, traffic

from conformance import judge
from conformance.judge import stopped_mesh
from conformance.model.evidence import Behaviour, Convergence, Effect, TrialResult
from conformance.model.verdict import Judgement, Reading

ALL = traffic({"v1": 100, "v2": 100})
IN_FORCE = judge.everything_reaches(Effect(ALL, traffic({"v2": 300}), CONVERGED), "v2")
LOOKS = (Behaviour("a"), Behaviour("b", ("v1",)), Behaviour("c", ("v2",)))
HALF = TrialResult(
    "halves",
    "weight of a half",
    LOOKS,
    traffic({"v1": 60}),
    traffic({"v1": 120}),
    unrelated_edit=CONVERGED,
    object_name="halves",
)
STOPPED = replace(HALF, unrelated_edit=NOT_CONVERGED)
LATE = Convergence("changes take effect again", 60, 17.2)
NEVER = Convergence("changes take effect again", 60, None)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (HALF, ""),
        (STOPPED, "the mesh took no change while 'halves' was there"),
        (
            replace(STOPPED, recovery=LATE),
            "the mesh took no change while 'halves' was there, and for 17 s after it was deleted",
        ),
        (
            replace(STOPPED, recovery=NEVER),
            "the mesh took no change while 'halves' was there, nor in the 60 s after it was deleted",
        ),
        (replace(HALF, recovery=LATE), "the mesh took no change for 17 s after 'halves' was deleted"),
        (replace(HALF, recovery=NEVER), "the mesh took no change in the 60 s after 'halves' was deleted"),
    ],
)
def test_the_object_is_named_and_how_long_it_lasted(one: TrialResult, said: str) -> None:
    assert stopped_mesh.finding(one) == said
    assert only(read(one)).finding == said


def read(*questions: TrialResult) -> Judgement:
    return judge.reading(IN_FORCE, questions, IN_FORCE)


def only(found: Judgement) -> Reading:
    (one,) = found.readings
    return one


def test_what_was_there_before_and_could_not_change_is_no_reading() -> None:
    assert only(read(HALF)).letter == "b"
    assert only(read(STOPPED)).letter == ""


def test_what_changed_all_the_same_is_one() -> None:
    assert only(read(replace(STOPPED, sample=traffic({"v2": 120})))).letter == "c"


def test_a_question_without_a_trial_is_not_observed() -> None:
    unasked = replace(HALF, sample=None, unrelated_edit=None, unasked="the mesh was stopped")
    found = read(unasked)
    assert not found.passed
    assert found.summary == "not observed: the mesh was stopped"
    beside = read(unasked, replace(HALF, question="another"))
    assert beside.passed
    assert [one.letter for one in beside.readings] == ["", "b"]
    assert "halves: not observed, the mesh was stopped" in beside.readings[0].seen

"""Open questions do not spoil each other: meshes that one object stops, in virtual time."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conformance.clusters import Answer
from conformance.drive.manifests import load
from conformance.drive.open_questions import asking
from conformance.drive.open_questions import sound as sounds
from conformance.drive.open_questions.asking import NO_EFFECT, TrialResults
from conformance.drive.open_questions.sound import Sound
from conformance.drive.open_questions.trials import Trial, TrialPlan
from conformance.drive.scenario import AccessCheck, Scenario
from conformance.model.evidence import Call, Convergence, Effect, TrialResult
from conformance.model.verdict import Judgement, Reading
from conformance.run.context import RunContext
from conformance.suite import drive_of
from conformance.suites.traffic_split import test_odd_splits as odd_splits

from .fake_cluster import FakeCluster
from .fake_mesh import FakeMesh, Objects
from .virtual import VirtualClock


@dataclass
class StoppedMesh(FakeMesh):
    """Looks at no split any more while one is odd, nor for so many seconds after that."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    odd: Callable[[dict[str, Any]], bool] = lambda _: False
    lasts_s: float = 0.0
    back_at_s: float = -math.inf
    taken: Objects = field(default_factory=dict)

    def answer(
        self, objects: Objects, pod: dict[str, Any], request: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        splits = {key: one for key, one in objects.items() if key[0] == "TrafficSplit"}
        if any(self.odd(one) for one in splits.values()):
            self.back_at_s = self.clock.now() + self.lasts_s
        elif self.clock.now() >= self.back_at_s:
            self.taken = copy.deepcopy(splits)
        others = {key: one for key, one in objects.items() if key[0] != "TrafficSplit"}
        return super().answer(others | self.taken, pod, request)


Drive = Callable[..., TrialResults[Effect]]


@pytest.fixture
def left() -> list[tuple[str, str]]:
    """Kind and name of what is applied when all is asked."""
    return []


@pytest.fixture
def drive(
    context: RunContext, cluster: FakeCluster, clock: VirtualClock, left: list[tuple[str, str]]
) -> Drive:
    """Drives odd-splits on a mesh that takes any object, and that one of them may stop."""

    def on(
        by: str = "",
        lasts_s: float = 0.0,
        *,
        splits: bool = True,
        only: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> TrialResults[Effect]:
        ledgers = cluster.mesh.ledgers

        def odd(split: dict[str, Any]) -> bool:
            return split["metadata"]["name"] == by and only(split)

        cluster.mesh = StoppedMesh(clock=clock, odd=odd, lasts_s=lasts_s, splits=splits, ledgers=ledgers)
        cluster.on_trial = lambda item: Answer(201, dict(item))
        context.arena.wait_ready(["main", "metrics"])
        driven = drive_of(odd_splits.__name__)
        assert driven is not None
        scenario = context.scenario("traffic-split/odd-splits")
        seen = cast(TrialResults[Effect], driven(scenario))
        left.extend((one["kind"], one["metadata"]["name"]) for one in scenario.applied)
        scenario.delete_applied()
        scenario.delete_services()
        return seen

    return on


def read(seen: TrialResults[Effect]) -> Judgement:
    return odd_splits.reading(seen, *seen.questions)


def told(seen: TrialResults[Effect]) -> dict[str, Reading]:
    return {one.question: one for one in read(seen).readings}


def letters(readings: Mapping[str, Reading]) -> dict[str, str]:
    return {of: one.letter for of, one in readings.items()}


def stops(readings: Mapping[str, Reading]) -> dict[str, str]:
    """What is said of a mesh that takes no changes, by question."""
    return {of: one.finding for of, one in readings.items() if "took no change" in one.finding}


HALF, ROOT_LATE = "weight of a half", "root that is made after its split"
AFTER = ("negative weight", "backend of another namespace")


def test_a_mesh_that_takes_all_changes_is_said_to(drive: Drive, clock: VirtualClock) -> None:
    seen = drive()
    readings = told(seen)
    assert stops(readings) == {}
    assert letters(readings)[HALF] == "c"
    assert letters(readings)[ROOT_LATE] == "a"
    assert all(
        one.unrelated_edit is not None and one.unrelated_edit.converged for one in seen.questions.values()
    )
    # The one wait for the effect, and a rest of the clients.
    assert clock.now() < 1017


def test_one_object_that_stops_the_mesh_for_a_while_is_blamed_and_nothing_else(drive: Drive) -> None:
    sound, seen = told(drive()), drive("halves", 20.0)
    readings = told(seen)
    assert letters(readings) == {**letters(sound), HALF: ""}
    (finding,) = stops(readings).values()
    assert finding == stops(readings)[HALF]
    assert "took no change while 'halves' was there, and for 2" in finding
    assert finding.endswith(" s after it was deleted")
    others = {of: one.finding for of, one in readings.items() if of != HALF}
    assert others == {of: one.finding for of, one in sound.items() if of != HALF}


def test_after_an_object_that_stops_it_for_good_nothing_is_told(drive: Drive) -> None:
    sound, readings = told(drive()), told(drive("halves", math.inf))
    assert letters(readings) == {**letters(sound), HALF: "", **dict.fromkeys(AFTER, "")}
    assert stops(readings) == {
        HALF: "the mesh took no change while 'halves' was there, nor in the 60 s after it was deleted"
    }
    for of in AFTER:
        assert (
            "not observed, the mesh took no change in the 60 s after halves was deleted" in readings[of].seen
        )


def test_where_sound_looking_objects_stop_a_mesh_each_is_asked_by_itself(drive: Drive) -> None:
    sound, readings = told(drive()), told(drive("doubled", 1.0))
    assert letters(readings) == {**letters(sound), "a backend listed twice": ""}
    assert stops(readings) == {"a backend listed twice": "the mesh took no change while 'doubled' was there"}


def test_an_object_after_which_a_mesh_comes_back_late_is_blamed_by_its_own_trial(drive: Drive) -> None:
    sound, readings = told(drive()), told(drive("doubled", 7.0))
    assert letters(readings) == {**letters(sound), "a backend listed twice": ""}
    assert list(stops(readings)) == ["a backend listed twice"]


def test_where_nothing_of_several_is_ever_taken_again_nobody_is_blamed(drive: Drive) -> None:
    seen = drive("doubled", math.inf)
    readings = told(seen)
    assert set(letters(readings).values()) == {""}
    assert stops(readings) == {}
    why = "not observed: the mesh took no change in the 60 s after these objects were deleted"
    assert read(seen).summary == why


def test_an_edit_by_which_a_mesh_goes_on_is_waited_for(drive: Drive) -> None:
    def all_zero(split: dict[str, Any]) -> bool:
        return not any(one["weight"] for one in split["spec"]["backends"])

    sound, readings = told(drive()), told(drive("zeros", 1.0, only=all_zero))
    assert letters(readings) == {**letters(sound), "all weights zero": ""}
    assert letters(readings)["weights after all were zero"] == "a"
    assert stops(readings) == {"all weights zero": "the mesh took no change while 'zeros' was there"}


def test_without_any_effect_nothing_is_asked(drive: Drive, clock: VirtualClock) -> None:
    seen = drive(splits=False)
    assert {one.unasked for one in seen.questions.values()} == {NO_EFFECT}
    assert not read(seen).passed
    # The one wait for the effect, and a rest of the clients.
    assert clock.now() < 1017


def test_what_was_made_is_withdrawn_and_services_are_as_they_were(
    drive: Drive, left: list[tuple[str, str]]
) -> None:
    drive("doubled", 1.0)
    assert set(left) == {("TrafficSplit", "steady"), ("Service", "leaver"), ("Service", "nobody")}


def trial(name: str, about: str, *beside: str, apart: bool = False) -> Trial:
    return Trial(name, name, Call("c", "h", 1, 1), (), None, object_name=about, beside=beside, apart=apart)


class TestSubjects:
    def test_are_trials_that_share_objects(self) -> None:
        trials = [trial("1", "a"), trial("2", "b", "c"), trial("3", "c"), trial("4", "", "a"), trial("5", "")]
        found = TrialPlan(trials, [], []).subjects
        assert [[one.name for one in subject.trials] for subject in found] == [["2", "3"], ["1", "4"], ["5"]]

    def test_are_asked_apart_where_one_of_their_trials_is(self) -> None:
        (found,) = TrialPlan([trial("1", "a"), trial("2", "", "a", apart=True)], [], []).subjects
        assert found.apart


SUITES = {
    "traffic_split.test_odd_splits": ("main", "metrics"),
    "traffic_split.test_odd_conditions": ("main", "metrics"),
    "traffic_split.test_forms": ("main", "metrics"),
    "traffic_specs.test_odd_groups": ("access", "peer"),
    "common.test_unknown_fields": ("access", "main"),
    "common.test_versions": ("main", "access"),
    "common.test_partial_authorisation": ("access",),
}


@pytest.mark.parametrize("suite", SUITES)
def test_each_object_in_question_is_named_by_a_trial(
    context: RunContext, monkeypatch: pytest.MonkeyPatch, suite: str
) -> None:
    declared: list[TrialPlan] = []
    asked = asking.asked

    def noted(scenario: Scenario, odd: TrialPlan, sound: Sound) -> dict[str, TrialResult]:
        declared.append(odd)
        return asked(scenario, odd, sound)

    monkeypatch.setattr(asking, "asked", noted)
    context.arena.wait_ready(SUITES[suite])
    module = importlib.import_module(f"conformance.suites.{suite}")
    driven = drive_of(module.__name__)
    assert driven is not None
    folder = module.pytestmark.args[0]
    driven(context.scenario(folder))
    (odd,) = declared
    files = [*odd.files, *odd.late, *odd.earlier, *(file for file, _ in odd.malformed)]
    objects = [*(one for file in files for one in load(f"{folder}/{file}")), *odd.written]
    named = frozenset[str]().union(*(one.names for one in odd.trials))
    assert {one["metadata"]["name"] for one in objects} <= named


def test_the_sound_object_of_grants_shows_when_the_last_of_its_asks_does(context: RunContext) -> None:
    context.arena.wait_ready(["main"])
    scenario = context.scenario("traffic-specs/odd-groups")
    found = {"now": Convergence("now", 3, 0.5), "then": Convergence("then", 3, None)}
    scenario = cast(
        Scenario, SimpleNamespace(wait_for_access=lambda _, discover: found, objects=scenario.objects)
    )
    asks = (list[AccessCheck](), "1-steady.yaml"), (list[AccessCheck](), "3-steady.yaml")
    sound = sounds.of_access(scenario, *asks, seen=True)
    assert sound.look() == found["then"]
    assert not sound.seen
    found["then"] = Convergence("then", 3, 0.7)
    assert sound.look() == found["then"]
    assert [[one["metadata"]["name"] for one in state] for state in sound.states] == [["steady"]] * 2

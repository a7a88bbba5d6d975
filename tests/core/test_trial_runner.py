"""Trials do not spoil each other: meshes that one object stops, in virtual time."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from conformance import judge
from conformance.clusters import ApiAnswer
from conformance.drive.manifests import load
from conformance.drive.open_questions import heartbeat as heartbeats
from conformance.drive.open_questions import trial_runner
from conformance.drive.open_questions.heartbeat import GrantStates, Heartbeat
from conformance.drive.open_questions.trial_runner import NO_EFFECT, TrialResults
from conformance.drive.open_questions.trials import Trial, TrialPlan
from conformance.drive.scenario import Scenario
from conformance.model.evidence import Call, Convergence, Effect, TrialResult
from conformance.model.verdict import Judgement, Reading
from conformance.run.context import RunContext
from conformance.suite import drive_of
from conformance.suites.traffic_split import (
    test_odd_splits,
    test_odd_splits_weights,
    test_odd_splits_without_endpoints,
)

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
OTHERS, WEIGHTS = test_odd_splits, test_odd_splits_weights


@pytest.fixture
def left() -> list[tuple[str, str]]:
    """Kind and name of what is applied when all is asked."""
    return []


@pytest.fixture
def drive(
    context: RunContext, cluster: FakeCluster, clock: VirtualClock, left: list[tuple[str, str]]
) -> Drive:
    """Drives a scenario of odd splits on a mesh that accepts any object, and that one of them may stop."""

    def on(
        module: ModuleType,
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
        cluster.on_trial = lambda item: ApiAnswer(201, dict(item))
        context.arena.wait_ready(["main", "metrics"])
        driven = drive_of(module.__name__)
        assert driven is not None
        scenario = context.scenario(module.pytestmark.args[0])
        seen = cast(TrialResults[Effect], driven(scenario))
        left.extend((one["kind"], one["metadata"]["name"]) for one in scenario.applied)
        scenario.delete_applied()
        scenario.delete_services()
        return seen

    return on


def read(seen: TrialResults[Effect]) -> Judgement:
    return judge.reading(seen.in_force, list(seen.by_name.values()), seen.in_force)


def told(seen: TrialResults[Effect]) -> dict[str, Reading]:
    return {one.question: one for one in read(seen).readings}


def letters(readings: Mapping[str, Reading]) -> dict[str, str]:
    return {of: one.letter for of, one in readings.items()}


def stops(readings: Mapping[str, Reading]) -> dict[str, str]:
    """What is said of a mesh that takes no changes, by question."""
    return {of: one.finding for of, one in readings.items() if "took no change" in one.finding}


HALF, MINUS, ROOT_LATE = "weight of a half", "negative weight", "root that is made after its split"
DOUBLED = "a backend listed twice"


@pytest.mark.parametrize(
    ("module", "question", "letter"),
    [
        (test_odd_splits_weights, HALF, "c"),
        (test_odd_splits_without_endpoints, ROOT_LATE, "a"),
        (test_odd_splits, DOUBLED, "b"),
    ],
    ids=["weights", "endpoints", "others"],
)
def test_a_mesh_that_takes_all_changes_is_reported_so(
    drive: Drive, clock: VirtualClock, module: ModuleType, question: str, letter: str
) -> None:
    seen = drive(module)
    readings = told(seen)
    assert stops(readings) == {}
    assert letters(readings)[question] == letter
    assert all(
        one.unrelated_edit is not None and one.unrelated_edit.converged for one in seen.by_name.values()
    )
    # The one wait for the effect, and a rest of the clients.
    assert clock.now() < 1017


def test_one_object_that_stops_the_mesh_for_a_while_is_blamed_and_nothing_else(drive: Drive) -> None:
    sound, seen = told(drive(WEIGHTS)), drive(WEIGHTS, "halves", 20.0)
    readings = told(seen)
    assert letters(readings) == {**letters(sound), HALF: ""}
    (finding,) = stops(readings).values()
    assert finding == stops(readings)[HALF]
    assert "took no change while 'halves' was there, and for 2" in finding
    assert finding.endswith(" s after it was deleted")
    others = {of: one.finding for of, one in readings.items() if of != HALF}
    assert others == {of: one.finding for of, one in sound.items() if of != HALF}


def test_after_an_object_that_stops_it_for_good_nothing_is_told(drive: Drive) -> None:
    sound, readings = told(drive(WEIGHTS)), told(drive(WEIGHTS, "halves", math.inf))
    assert letters(readings) == {**letters(sound), HALF: "", MINUS: ""}
    assert stops(readings) == {
        HALF: "the mesh took no change while 'halves' was there, nor in the 60 s after it was deleted"
    }
    why = "not observed, the mesh took no change in the 60 s after halves was deleted"
    assert why in readings[MINUS].seen


def test_where_sound_looking_objects_stop_a_mesh_each_is_asked_by_itself(drive: Drive) -> None:
    sound, readings = told(drive(OTHERS)), told(drive(OTHERS, "doubled", 1.0))
    assert letters(readings) == {**letters(sound), DOUBLED: ""}
    assert stops(readings) == {DOUBLED: "the mesh took no change while 'doubled' was there"}


def test_an_object_after_which_a_mesh_comes_back_late_is_blamed_by_its_own_trial(drive: Drive) -> None:
    sound, readings = told(drive(OTHERS)), told(drive(OTHERS, "doubled", 7.0))
    assert letters(readings) == {**letters(sound), DOUBLED: ""}
    assert list(stops(readings)) == [DOUBLED]


def test_where_nothing_of_several_is_ever_taken_again_nobody_is_blamed(drive: Drive) -> None:
    seen = drive(OTHERS, "doubled", math.inf)
    readings = told(seen)
    assert set(letters(readings).values()) == {""}
    assert stops(readings) == {}
    why = "not observed: the mesh took no change in the 60 s after these objects were deleted"
    assert read(seen).summary == why


def test_an_edit_by_which_a_mesh_goes_on_is_waited_for(drive: Drive) -> None:
    def all_zero(split: dict[str, Any]) -> bool:
        return not any(one["weight"] for one in split["spec"]["backends"])

    sound, readings = told(drive(WEIGHTS)), told(drive(WEIGHTS, "zeros", 1.0, only=all_zero))
    assert letters(readings) == {**letters(sound), "all weights zero": ""}
    assert letters(readings)["weights after all were zero"] == "a"
    assert stops(readings) == {"all weights zero": "the mesh took no change while 'zeros' was there"}


def test_without_any_effect_nothing_is_asked(drive: Drive, clock: VirtualClock) -> None:
    seen = drive(WEIGHTS, splits=False)
    assert {one.unasked for one in seen.by_name.values()} == {NO_EFFECT}
    assert not read(seen).passed
    # The one wait for the effect, and a rest of the clients.
    assert clock.now() < 1017


def test_what_was_made_is_withdrawn_and_services_are_as_they_were(
    drive: Drive, left: list[tuple[str, str]]
) -> None:
    drive(test_odd_splits_without_endpoints, "ghostly", 1.0)
    assert set(left) == {("TrafficSplit", "steady-endpoints"), ("Service", "leaver"), ("Service", "nobody")}


def trial(name: str, about: str, *others: str, isolated: bool = False) -> Trial:
    return Trial(
        name=name,
        question=name,
        call=Call("c", "h", 1, 1),
        looks=(),
        baseline_responders=None,
        object_name=about,
        other_objects=others,
        isolated=isolated,
    )


class TestGroups:
    def test_are_trials_that_share_objects(self) -> None:
        trials = [trial("1", "a"), trial("2", "b", "c"), trial("3", "c"), trial("4", "", "a"), trial("5", "")]
        found = TrialPlan(trials, []).groups
        assert [[one.name for one in group.trials] for group in found] == [["2", "3"], ["1", "4"], ["5"]]

    def test_are_isolated_if_any_of_their_trials_is(self) -> None:
        (found,) = TrialPlan([trial("1", "a"), trial("2", "", "a", isolated=True)], []).groups
        assert found.isolated


SUITES = {
    "traffic_split.test_odd_splits": ("main", "metrics"),
    "traffic_split.test_odd_splits_weights": ("main",),
    "traffic_split.test_odd_splits_without_endpoints": ("main",),
    "traffic_split.test_odd_conditions": ("main", "metrics"),
    "traffic_split.test_odd_conditions_of_users": ("main",),
    "traffic_split.test_forms": ("main", "metrics"),
    "traffic_specs.test_odd_groups": ("access", "peer"),
    "traffic_specs.test_odd_groups_dialect": ("access",),
    "traffic_specs.test_odd_groups_expressions": ("access",),
    "traffic_specs.test_declared_versions": ("access",),
    "common.test_unknown_fields": ("access", "main"),
    "common.test_versions": ("main", "access"),
    "common.test_partial_authorisation": ("access",),
}


@pytest.mark.parametrize("suite", SUITES)
def test_each_object_in_question_is_named_by_a_trial(
    context: RunContext, monkeypatch: pytest.MonkeyPatch, suite: str
) -> None:
    declared: list[TrialPlan] = []
    run_trials = trial_runner.run_trials

    def noted(scenario: Scenario, plan: TrialPlan, heartbeat: Heartbeat) -> dict[str, TrialResult]:
        declared.append(plan)
        return run_trials(scenario, plan, heartbeat)

    monkeypatch.setattr(trial_runner, "run_trials", noted)
    context.arena.wait_ready(SUITES[suite])
    module = importlib.import_module(f"conformance.suites.{suite}")
    driven = drive_of(module.__name__)
    assert driven is not None
    folder = module.pytestmark.args[0]
    driven(context.scenario(folder))
    (plan,) = declared
    files = [*plan.files, *plan.late_files, *plan.earlier_files]
    files += [file for file, _ in plan.malformed_files]
    objects = [*(one for file in files for one in load(f"{folder}/{file}")), *plan.objects]
    named = frozenset[str]().union(*(one.object_names for one in plan.trials))
    assert {one["metadata"]["name"] for one in objects} <= named


@pytest.mark.parametrize("suite", SUITES)
def test_each_trial_is_judged_by_a_test(context: RunContext, suite: str) -> None:
    context.arena.wait_ready(SUITES[suite])
    module = importlib.import_module(f"conformance.suites.{suite}")
    driven = drive_of(module.__name__)
    assert driven is not None
    seen = driven(context.scenario(module.pytestmark.args[0]))
    judged: set[str] = set()

    def verdict(judgement: Judgement) -> None:
        assert judgement.basis is not None
        judged.update(one.name for one in judgement.basis.arguments["questions"])

    for name in dir(module):
        if name.startswith("test_"):
            getattr(module, name)(seen, verdict)
    results = seen[0] if isinstance(seen, tuple) else seen
    assert set(results.by_name) <= judged


def test_a_heartbeat_of_grants_shows_with_the_last_of_its_checks(context: RunContext) -> None:
    context.arena.wait_ready(["access", "peer"])
    scenario = context.scenario("traffic-specs/odd-groups")
    found = {"now": Convergence("now", 3, 0.5), "then": Convergence("then", 3, None)}
    faked = SimpleNamespace(
        wait_for_access=lambda _, discover: found, objects=scenario.objects, call=scenario.call
    )
    states = GrantStates("access/alpha", "access/server", {"/1": "1-steady.yaml", "/2": "3-steady.yaml"})
    heartbeat = heartbeats.of_grants(cast(Scenario, faked), states, seen=True)
    assert heartbeat.look() == found["then"]
    assert not heartbeat.seen
    found["then"] = Convergence("then", 3, 0.7)
    assert heartbeat.look() == found["then"]
    assert [[one["metadata"]["name"] for one in state] for state in heartbeat.states] == [["steady"]] * 2


def test_the_states_of_grants_open_one_path_each(context: RunContext) -> None:
    context.arena.wait_ready(["access"])
    scenario = context.scenario("traffic-specs/odd-groups")
    states = GrantStates("access/alpha", "access/server", {"/a/1": "1-steady.yaml", "/a/2": "3-steady.yaml"})
    expected = [[(one.name, one.expect) for one in state] for state in states.checks(scenario)]
    assert expected == [[("1", "granted"), ("2", "denied")], [("2", "granted"), ("1", "denied")]]

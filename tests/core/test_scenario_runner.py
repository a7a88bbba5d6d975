"""Basic and presumed requirements, meshes that need rests, and meshes that stop."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from conformance import judge
from conformance.catalogue.foundations import GRANT, SPLIT, UNDER_CALLS
from conformance.drive.recovery import RecoveryCheck
from conformance.drive.rest_history import MAX_USELESS_RESTS, RestHistory
from conformance.drive.scenario import ExpectedResponders, Scenario
from conformance.model.evidence import Environment
from conformance.model.verdict import Judgement, Verdict
from conformance.report.causes import causes
from conformance.run.context import RunContext
from conformance.run.results import JudgedTest, RunResults
from conformance.traceability import index
from conformance.traceability.index import scenario_mark

from .conftest import Bench
from .fake_cluster import FakeCluster
from .fake_mesh import FakeMesh, Objects
from .virtual import VirtualClock


@pytest.fixture
def scenario(context: RunContext) -> Scenario:
    context.arena.wait_ready(["main"])
    made = context.scenario("traffic-split/delete")
    made.apply("services.yaml")
    made.applied.clear()
    made._changed = False
    return made


SPLITS = "basic or zero_weight or live_edits or schemas"
ZERO, EDITS, SCHEMA = "split-zero-weight-gets-nothing", "split-live-edits", "split-schema-v1alpha3-v1alpha4"
LEAK, WEIGHTS = "split-root-endpoints-not-implicit", "split-weighted-distribution"


@dataclass
class StoppingMesh(FakeMesh):
    """Takes no change while a split has a weight that is no whole number, and for some time after."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    for_s: float = 20.0
    _held: Objects | None = None
    _until: float = 0.0

    def answer(
        self, objects: Objects, pod: dict[str, Any], request: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        odd = any(
            isinstance(backend.get("weight"), float) or backend.get("weight") == "0.5"
            for (kind, _, _), item in objects.items()
            if kind == "TrafficSplit"
            for backend in (item.get("spec") or {}).get("backends") or ()
        )
        if odd:
            self._until = self.clock.now() + self.for_s
        if self.clock.now() >= self._until:
            self._held = None
            return super().answer(objects, pod, request)
        splits = {key: item for key, item in objects.items() if key[0] == "TrafficSplit"}
        if self._held is None:
            self._held = {} if odd else splits
        others = {key: item for key, item in objects.items() if key[0] != "TrafficSplit"}
        return super().answer(others | self._held, pod, request)


@dataclass
class QuietMesh(FakeMesh):
    """Adopts splits only after five seconds without calls."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    _called_at: float = -100.0
    _shown: Objects = field(default_factory=dict)

    def answer(
        self, objects: Objects, pod: dict[str, Any], request: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        if request["op"] == "ledger":
            return super().answer(objects, pod, request)
        if self.clock.now() - self._called_at > 5.0:
            self._shown = {key: item for key, item in objects.items() if key[0] == "TrafficSplit"}
        self._called_at = self.clock.now()
        others = {key: item for key, item in objects.items() if key[0] != "TrafficSplit"}
        return super().answer(others | self._shown, pod, request)


class LeakyMesh(FakeMesh):
    """The pods of a root get a share of their own, beside its backends."""

    def answer(
        self, objects: Objects, pod: dict[str, Any], request: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        return super().answer(
            {key: _leaky(item) if key[0] == "TrafficSplit" else item for key, item in objects.items()},
            pod,
            request,
        )


def _leaky(split: dict[str, Any]) -> dict[str, Any]:
    spec = split["spec"]
    root = {"service": spec["service"], "weight": max(1, sum(one["weight"] for one in spec["backends"]) // 5)}
    return {**split, "spec": {**spec, "backends": [*spec["backends"], root]}}


@pytest.fixture
def splits_alone(bench: Bench) -> Bench:
    """A bench whose profile claims splits alone, so that nothing is open that should be closed."""
    bench.profile.write_text(
        "name: fake\nclaims: {split: [v1alpha4]}\njoin: {sidecar: false}\n"
        "converge: {within_s: 3, stable_s: 0.2}\n",
        encoding="utf-8",
    )
    return bench


class TestAScenarioThatStandsOnABasicRequirement:
    def test_is_that_of_the_groups_of_its_objects(self, context: RunContext) -> None:
        both = scenario_mark(
            "common/x", {"arena": ("main", "access"), "groups": ("split", "access", "specs")}
        )
        assert context.stands_on(both) == (GRANT, SPLIT)
        assert context.stands_on(scenario_mark("x", {"arena": ("outside",), "groups": ("split",)})) == ()
        own = {"arena": ("main",), "groups": ("split",), "stands_on": ()}
        assert context.stands_on(scenario_mark("x", own)) == ()
        assert context.stands_on(scenario_mark("basic/split", own)) == ()

    def test_is_not_judged_if_the_basic_requirement_failed(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench.cluster.mesh.splits = False
        assert bench.run("-k", SPLITS, "--verbose") == 1
        assert bench.outcome(SPLIT) == "fail"
        for one in (ZERO, EDITS):
            (test, *_) = bench.record(one).tests
            assert test.summary == f"stands on {SPLIT}, which failed"
            assert bench.outcome(one) == "inconclusive"
        assert bench.outcome(SCHEMA) == "pass"
        assert [one.id for one in bench.report.requirements if one.outcome == "fail"] == [SPLIT]
        assert "scenario traffic-split/live-edits" in capsys.readouterr().out
        assert "TrafficSplit/smi-main-r1/resting" not in bench.cluster.created

    def test_is_judged_if_the_basic_requirement_holds(self, splits_alone: Bench) -> None:
        bench = splits_alone
        assert bench.run("-k", SPLITS) == 0
        assert [bench.outcome(one) for one in (SPLIT, ZERO, EDITS)] == ["pass"] * 3

    def test_adds_the_basic_requirement_to_the_selection(self, bench: Bench) -> None:
        bench.cluster.mesh.splits = False
        assert bench.run("--requirement", ZERO) == 1
        assert [bench.outcome(one) for one in (SPLIT, ZERO, EDITS)] == [
            "fail",
            "inconclusive",
            "not selected",
        ]

    def test_takes_little_time_with_a_mesh_without_effects(self, bench: Bench) -> None:
        bench.run("-k", "traffic_split or basic")
        right = bench.report.timing.waiting_s
        bench.cluster.mesh.splits = False
        bench.run("-k", "traffic_split or basic")
        assert bench.report.timing.waiting_s <= max(2 * right, 3 * (3 + 10))


class TestAPresumedRequirement:
    def test_explains_a_failure_of_the_test(self, splits_alone: Bench) -> None:
        bench = splits_alone
        bench.cluster.mesh = LeakyMesh()
        assert bench.run("-k", "basic or weighted_distribution or live_edits or unmeshed or moved") == 1
        outcomes = {one.id: one.outcome for one in bench.report.requirements}
        failed = {one for one, outcome in outcomes.items() if outcome == "fail"}
        # A split that is partly followed takes effect, so scenarios that stand on it are driven.
        assert {SPLIT, LEAK} <= failed
        assert "TrafficSplit/smi-main-r1/moving" in bench.cluster.created
        for one in (WEIGHTS, EDITS):
            assert outcomes[one] == "inconclusive"
            assert all(
                test.summary.startswith(f"stands on {LEAK}, which failed; seen here: ")
                for test in bench.record(one).tests
            )
        assert causes(bench.report)[0].basic == LEAK

    def test_explains_no_failure_if_it_holds(self, splits_alone: Bench) -> None:
        bench = splits_alone
        mesh = FakeMesh()
        bench.cluster.mesh = mesh
        bench.cluster.on_apply = lambda item: _splits_cease(mesh, item)
        assert bench.run("-k", "basic or weighted_distribution or live_edits") == 1
        outcomes = {one.id: one.outcome for one in bench.report.requirements}
        assert (outcomes[LEAK], outcomes[EDITS]) == ("pass", "fail")

    def test_explains_no_failure_in_other_versions(self) -> None:
        kind = [("split", "v1alpha4", "TrafficSplit")]
        failed, holds = judge.groups_served(kind, []), judge.groups_served(kind, kind)
        results = RunResults()

        def recorded(judgement: Judgement, version: str, *presumes: str, of: str = "x-y") -> Judgement:
            test = JudgedTest(of, "x.py::test", of, {"split": version, "specs": "v1alpha4"}, presumes)
            return results.record(test, judgement, Environment())

        recorded(failed, "v1alpha2", of="a-b")
        recorded(holds, "v1alpha4", of="a-b")
        recorded(failed, "v1alpha2", "a-b", of="c-d")
        # The cause is the requirement that explains the other's failure.
        for one, version in (("a-b", "v1alpha2"), ("c-d", "v1alpha2"), ("c-d", "v1alpha4")):
            found = recorded(failed, version, one)
            assert found.verdict is Verdict.INCONCLUSIVE
            assert found.summary.startswith("stands on a-b, which failed; seen here: ")
        for one, version in (("a-b", "v1alpha4"), ("e-f", "v1alpha2")):
            assert recorded(failed, version, one).verdict is Verdict.FAIL
        assert recorded(holds, "v1alpha2", "a-b").verdict is Verdict.PASS
        # Nothing is the cause of its own failure.
        assert recorded(failed, "v1alpha2", "c-d", of="a-b").verdict is Verdict.FAIL


def presuming(one: str) -> index.TestEntry:
    """A test that presumes one requirement."""
    mark = scenario_mark("x/y", {"arena": ("access",), "groups": ("access",)})
    return index.TestEntry("x-y", "x/test_y.py", "test_y", mark, (), presumes=(one,))


def _splits_cease(mesh: FakeMesh, item: Mapping[str, Any]) -> None:
    """From the first split of the scenario of edits on the mesh follows none."""
    if item["kind"] == "TrafficSplit" and item["metadata"]["name"] == "moving":
        mesh.splits = False


class TestAMeshThatNeedsRests:
    def test_fails_one_requirement_and_is_judged_by_the_others(self, splits_alone: Bench) -> None:
        bench = splits_alone
        bench.cluster.mesh = QuietMesh(clock=bench.clock)
        assert bench.run("-k", "basic or zero_weight or targetport") == 1
        failed = [one.id for one in bench.report.requirements if one.outcome == "fail"]
        assert failed == [UNDER_CALLS]
        assert [bench.outcome(one) for one in (SPLIT, ZERO, "split-targetport-per-backend")] == ["pass"] * 3
        (finding,) = [test for test in bench.record(UNDER_CALLS).tests if test.verdict.value == "fail"]
        assert finding.summary == (
            "only v2 answer: not seen within 3 s of steady calls, but after the clients had rested for 10 s"
        )

    def test_gets_a_rest_before_every_poll_once_that_is_known(
        self, scenario: Scenario, cluster: FakeCluster, clock: VirtualClock
    ) -> None:
        cluster.mesh = QuietMesh(clock=clock)
        scenario.rests.helped = 2
        call = scenario.call("main/client", "main/going", requests=200)
        began = clock.now()
        (effect,) = scenario.apply_and_sample(
            [ExpectedResponders(call, frozenset({"v2"}))], "split.yaml", servers=[]
        )
        assert effect.convergence.converged
        assert 10 <= clock.now() - began < 25

    def test_gets_no_more_rests_after_several_without_effect(
        self, scenario: Scenario, clock: VirtualClock
    ) -> None:
        scenario.apply("split.yaml")
        took = []
        for _ in range(MAX_USELESS_RESTS + 1):
            began = clock.now()
            assert not scenario.wait_for_propagation(lambda: False, "what never comes").converged
            took.append(clock.now() - began)
        assert all(one > 12 for one in took[:-1])
        assert took[-1] < 4

    @pytest.mark.parametrize("another_writes", [False, True])
    def test_is_recognized_only_without_writes_of_other_scenarios(
        self, scenario: Scenario, clock: VirtualClock, another_writes: bool
    ) -> None:
        scenario.apply("split.yaml")
        began = clock.now()

        def write(because: str, elapsed: float, within: float) -> None:
            if another_writes and elapsed > 1 and not because.startswith("clients rest"):
                scenario.rests.record_write()

        scenario.waiter.on_wait = write
        found = scenario.wait_for_propagation(lambda: clock.now() - began > 10, "an edit")
        # In both cases its own requirement is judged, since the change is in force.
        assert found.converged
        assert found.rested_s == 10
        assert len(scenario.rested) == scenario.rests.helped == (0 if another_writes else 1)

    @pytest.mark.parametrize(
        "write", ["create_services", "apply_objects", "delete_objects", "delete_applied", "delete_services"]
    )
    def test_every_write_is_recorded(self, scenario: Scenario, write: str) -> None:
        objects = scenario.objects("split.yaml")
        scenario.create_services()
        scenario.apply_objects(objects)
        before = scenario.rests.writes
        getattr(scenario, write)(*([objects] if write.endswith("objects") else []))
        assert scenario.rests.writes > before

    def test_gets_no_rest_during_background_traffic(self, scenario: Scenario, clock: VirtualClock) -> None:
        scenario.apply("split.yaml")
        began = clock.now()
        assert not scenario.wait_for_propagation(lambda: False, "an edit", may_rest=False).converged
        assert clock.now() - began < 4

    def test_is_recognized_after_two_effective_rests(self) -> None:
        rests = RestHistory(10.0)
        rests.record_rest(converged=False)
        assert (rests.needed, rests.useless, rests.worth_trying) == (False, 1, True)
        rests.record_rest(converged=True)
        assert not rests.needed
        rests.record_rest(converged=True)
        assert rests.needed


class TestARecoveryCheck:
    def test_takes_effect_and_is_deleted(self, context: RunContext, cluster: FakeCluster) -> None:
        canary = RecoveryCheck("split")
        for _ in range(3):
            assert canary.look(context.scenario("recovery/split"), 3.0).converged
            assert not canary.waits
            assert not [key for key in cluster.objects if key[0] == "TrafficSplit"]

    def test_stays_applied_until_it_takes_effect(
        self, context: RunContext, cluster: FakeCluster, clock: VirtualClock
    ) -> None:
        canary = RecoveryCheck("split")
        cluster.mesh.splits = False
        assert not canary.look(context.scenario("recovery/split"), 3.0).converged
        assert canary.waits == "a"
        cluster.mesh.splits = True
        assert canary.look(context.scenario("recovery/split"), 0.0).converged
        assert not canary.waits


STOPPING = """
    import pytest
    from conformance import judge
    pytestmark = pytest.mark.scenario("basic/split", arena=("main",), groups=("split",), alone=True)

    @pytest.mark.requirement("split-weight-fraction-or-negative")
    def test_half_a_weight(scenario, verdict):
        (split,) = scenario.objects("1-split.yaml")
        split["metadata"]["name"] = "halved"
        split["spec"]["backends"][0]["weight"] = 0.5
        scenario.apply_objects([split])
        scenario.send(scenario.call("main/client", "main/v1"), servers=[])
        verdict(judge.inconclusive("nothing was looked at"))
"""
BASIC_SPLIT = index.SUITES / "basic/test_split.py"
AFTER = index.SUITES / "traffic_split/test_zero_weight.py"


class TestAMeshThatStops:
    @pytest.mark.parametrize(
        ("for_s", "severity", "zero"), [(20.0, "warning", "pass"), (1e6, "error", "inconclusive")]
    )
    def test_is_awaited_and_reported(
        self, splits_alone: Bench, for_s: float, severity: str, zero: str
    ) -> None:
        bench = splits_alone
        bench.cluster.mesh = StoppingMesh(clock=bench.clock, for_s=for_s)
        path = bench.folder / f"test_stopping_for_{for_s:.0f}.py"
        path.write_text(textwrap.dedent(STOPPING), encoding="utf-8")
        bench.pytest(*map(str, (BASIC_SPLIT, path, AFTER)))
        (finding,) = bench.report.findings
        assert finding.severity == severity
        assert "basic/split (TrafficSplit halved)" in finding.text
        assert bench.outcome(ZERO) == zero
        assert bench.report.counts["fail"] == 0

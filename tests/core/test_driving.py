"""The arena, the driver and scenarios, against a cluster in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conformance.clusters import Account, ApiAnswer, ClusterError, ExecFailed
from conformance.drive import arena as arena_module
from conformance.drive.api_reads import (
    AVAILABLE_WITHIN_S,
    Reader,
    claimed_kinds,
    round_trip,
    served_kinds,
)
from conformance.drive.arena import Arena, remove
from conformance.drive.polling import classify_poll
from conformance.drive.readiness import NotReady
from conformance.drive.scenario import (
    POLL_REUSED,
    AccessCheck,
    ExpectedResponders,
    Scenario,
    sampling,
)
from conformance.drive.scenario.background import VOLUME_WITHIN_S
from conformance.drive.traffic import Driver, SendOptions
from conformance.drive.wait import Waiter
from conformance.model.evidence import Call, Convergence, Look, Traffic
from conformance.profiles import Claims
from conformance.run.context import RunContext
from conformance.run.diagnostics import gather

from .fake_cluster import INJECT, FakeCluster
from .fake_mesh import MORE, STEADY
from .virtual import VirtualClock

ROOT = "going.smi-main-r1.svc.cluster.local"


def containers(state: dict[str, Any]) -> dict[str, Any]:
    """The status of a pod whose only container is in a state."""
    return {"containerStatuses": [{"name": "probe", "state": state}]}


@pytest.fixture
def driver(context: RunContext) -> Driver:
    context.arena.wait_ready(["main"])
    return context.driver


@pytest.fixture
def scenario(context: RunContext) -> Scenario:
    context.arena.wait_ready(["main"])
    made = context.scenario("traffic-split/delete")
    made.create_services()
    return made


def _pooled(scenario: Scenario) -> str:
    """A service of several pods."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "smi-main-r1", "name": "pooled"},
        "spec": {"selector": {"pool": "all"}, "ports": [{"port": 8080, "targetPort": 8080}]},
    }
    scenario.cluster.apply([service])
    return "main/pooled"


class TestTheArena:
    def test_knows_its_pods_by_part_and_workload(self, arena: Arena) -> None:
        pod = arena.pod("main/v1")
        assert (pod.namespace, pod.name, pod.workload) == ("smi-main-r1", "v1-1", "v1")
        assert arena.workloads("peer") == ["peer/peer", "peer/p1", "peer/p2"]

    def test_creates_a_part_once(self, arena: Arena, cluster: FakeCluster) -> None:
        arena.create(["peer"])
        made = len(cluster.created)
        arena.create(["peer"])
        arena.wait_ready(["peer"])
        assert len(cluster.created) == made

    def test_creates_namespaces_and_accounts_before_their_users(
        self, arena: Arena, cluster: FakeCluster
    ) -> None:
        arena.create(["main"])
        kinds = list(dict.fromkeys(one.partition("/")[0] for one in cluster.created))
        assert kinds == ["Namespace", "ConfigMap", "ServiceAccount", "Service", "Pod", "Deployment"]

    def test_mounts_the_probe(self, arena: Arena, cluster: FakeCluster) -> None:
        arena.create(["peer"])
        assert cluster.objects["ConfigMap", "smi-peer-r1", "probe"]["binaryData"].keys() == {"probe.pyz"}

    def test_rejects_unknown_workloads(self, arena: Arena) -> None:
        with pytest.raises(ClusterError, match="no workload 'v9' in the arena's part 'main'"):
            arena.pod("main/v9")

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            ({"phase": "Pending"}, "pod peer: Pending$"),
            (
                {
                    "phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}],
                },
                r"pod peer: Pending \(0/1 nodes\)",
            ),
            (containers({"waiting": {"reason": "ErrImagePull"}}), "pod peer: probe: ErrImagePull"),
            (containers({"terminated": {"reason": "Error", "message": "no"}}), r"probe: Error \(no\)"),
            (containers({"running": {}}), "pod peer: probe runs but is not ready"),
        ],
        ids=["pending", "unscheduled", "waiting", "terminated", "unready"],
    )
    def test_reports_why_a_pod_is_not_ready(
        self,
        arena: Arena,
        cluster: FakeCluster,
        monkeypatch: pytest.MonkeyPatch,
        status: dict[str, Any],
        message: str,
    ) -> None:
        monkeypatch.setattr(arena_module, "READY_WITHIN_S", 1.0)
        arena.create(["peer"])
        cluster.objects["Pod", "smi-peer-r1", "peer"]["status"] = status
        with pytest.raises(NotReady, match=message):
            arena.wait_ready(["peer"])

    def test_reports_a_common_problem_of_pods_once_with_its_remedy(
        self, arena: Arena, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arena_module, "READY_WITHIN_S", 1.0)
        arena.create(["outside"])
        for name in ("outsider", "stranger"):
            status = containers({"waiting": {"reason": "ImagePullBackOff"}})
            cluster.objects["Pod", "smi-outside-r1", name]["status"] = status
        wanted = r"pods outsider, stranger: probe: ImagePullBackOff; --image names another image"
        with pytest.raises(NotReady, match=wanted):
            arena.wait_ready(["outside"])

    def test_checks_late_pods_once_more_without_waiting(
        self, arena: Arena, cluster: FakeCluster, context: RunContext
    ) -> None:
        begun = context.clock.now()
        arena.create(["peer"])
        pod = cluster.objects["Pod", "smi-peer-r1", "peer"]
        ready, pod["status"] = pod["status"], {"phase": "Pending"}
        for _ in range(2):
            with pytest.raises(NotReady, match="not seen within 180 s"):
                arena.wait_ready(["peer"])
            assert 180 <= context.clock.now() - begun < 182
        pod["status"] = ready
        arena.wait_ready(["peer"])
        assert context.clock.now() - begun < 182

    def test_deletes_all_parts_except_the_given_ones(self, arena: Arena, cluster: FakeCluster) -> None:
        arena.wait_ready(["main", "peer"])
        arena.delete_except(["peer", "access"])
        assert {name for kind, _, name in cluster.objects if kind == "Namespace"} == {"smi-peer-r1"}
        assert arena.workloads("peer") == ["peer/peer", "peer/p1", "peer/p2"]

    def test_points_at_events_if_no_pods_exist(
        self, arena: Arena, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arena_module, "READY_WITHIN_S", 1.0)
        arena.create(["peer"])
        del cluster.objects["Pod", "smi-peer-r1", "peer"]
        with pytest.raises(NotReady, match="no pods were created: see `kubectl get events -n smi-peer-r1`"):
            arena.wait_ready(["peer"])

    def test_counts_pods_with_a_second_container_as_joined(
        self, context: RunContext, cluster: FakeCluster
    ) -> None:
        join = context.profile.join.model_copy(update={"sidecar": True})
        context.arena.profile = context.profile.model_copy(update={"join": join})
        with pytest.raises(NotReady, match=r"no sidecar\): peer, p1-1, p2-1; is the mesh installed"):
            context.arena.wait_ready(["peer"])
        for name in ("peer", "p1-1", "p2-1"):
            cluster.objects["Pod", "smi-peer-r1", name]["spec"]["containers"].append({"name": INJECT})
        context.arena.wait_ready(["peer"])

    def test_counts_a_native_sidecar_as_a_container(self, context: RunContext, cluster: FakeCluster) -> None:
        join = context.profile.join.model_copy(update={"sidecar": True})
        context.arena.profile = context.profile.model_copy(update={"join": join})
        context.arena.create(["peer"])
        for name in ("peer", "p1-1", "p2-1"):
            spec = cluster.objects["Pod", "smi-peer-r1", name]["spec"]
            spec["initContainers"] = [{"name": "init"}, {"name": "proxy", "restartPolicy": "Always"}]
        context.arena.wait_ready(["peer"])

    def test_diagnostics_have_the_logs_of_all_long_running_containers(
        self, context: RunContext, cluster: FakeCluster
    ) -> None:
        context.arena.create(["peer"])
        spec = cluster.objects["Pod", "smi-peer-r1", "peer"]["spec"]
        spec["initContainers"] = [{"name": "init"}, {"name": "proxy", "restartPolicy": "Always"}]
        gathered = [one.name for one in gather(cluster, "r1", ["smi-peer-r1"], "here")]
        of_peer = [one for one in gathered if "/peer," in one]
        assert of_peer == [f"here: log of smi-peer-r1/peer, {name}" for name in ("probe", "proxy")]

    def test_registers_a_workload_that_a_scenario_adds(self, context: RunContext) -> None:
        context.arena.wait_ready(["main"])
        scenario = context.scenario("traffic-split/live-edits")
        scenario.apply("old.yaml")
        assert context.arena.adopt("main/old").name == "old-1"
        assert context.arena.pod("main/old").workload == "old"

    def test_is_removed_by_its_label_and_removes_nothing_else(
        self, arena: Arena, cluster: FakeCluster
    ) -> None:
        arena.create(["main", "peer"])
        other = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other", "labels": {}}}
        cluster.apply([other])
        arena.remove()
        assert list(cluster.objects) == [("Namespace", "", "other")]

    def test_of_every_run_is_removed_by_the_label_key(self, arena: Arena, cluster: FakeCluster) -> None:
        arena.create(["peer"])
        names = remove(cluster, Waiter(VirtualClock()), "smi-conformance.dev/run")
        assert names == ["smi-peer-r1"]


class TestTheDriver:
    def test_returns_answers_and_ledgers_of_a_batch(self, driver: Driver, scenario: Scenario) -> None:
        call = scenario.call("main/client", _pooled(scenario), requests=400)
        (traffic,) = driver.send([call], ledgers=["main/v1", "main/v2", "main/v3", "main/v4"])
        assert traffic.sent == traffic.answers == traffic.served == 400
        assert traffic.arrivals.keys() == {name for name, count in traffic.received.items() if count}
        assert set(traffic.arrivals.values()) == {"GET / on port 8080 from 10.0.0.9"}
        assert traffic.answered == traffic.received
        assert traffic.answered.keys() == {"v1", "v2", "v3", "v4"}
        assert traffic.statuses == {"200": 400}
        assert traffic.connections == 32
        assert (traffic.latency_p50_us, traffic.latency_p99_us) == (900, 900)
        assert not traffic.new_connections

    def test_counts_unanswered_requests(self, driver: Driver, cluster: FakeCluster) -> None:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "smi-main-r1", "name": "empty"},
            "spec": {"selector": {"app": "nobody"}, "ports": [{"port": 8080, "targetPort": 8080}]},
        }
        cluster.apply([service])
        call = Call("main/client", "empty.smi-main-r1.svc.cluster.local", 8080, requests=7)
        (traffic,) = driver.send([call], ledgers=["main/v1"])
        assert traffic.failures == {"refused": 7}
        assert (traffic.answers, traffic.served) == (0, 0)

    def test_reads_only_the_ledgers_of_the_given_workloads(self, driver: Driver, scenario: Scenario) -> None:
        call = scenario.call("main/client", "main/going", requests=100)
        (traffic,) = driver.send([call], ledgers=["main/v1"])
        assert traffic.received.keys() == {"v1"}

    def test_uses_new_connections_on_request(self, driver: Driver, scenario: Scenario) -> None:
        call = scenario.call("main/client", "main/going", requests=40)
        (traffic,) = driver.send([call], SendOptions(new_connections=True))
        assert traffic.new_connections
        assert traffic.connections == 0

    def test_uses_one_connection_on_request(self, driver: Driver, scenario: Scenario) -> None:
        call = scenario.call("main/client", _pooled(scenario), requests=40, protocol="http2")
        (traffic,) = driver.send([call], SendOptions(one_connection=True))
        assert (traffic.connections, traffic.uniform_connections) == (1, 0)

    def test_speaks_the_protocol_of_each_call(
        self, driver: Driver, scenario: Scenario, cluster: FakeCluster
    ) -> None:
        sent: list[tuple[str, str]] = []
        cluster.on_ask = lambda pod, request: sent.extend(
            (batch["protocol"], batch["method"]) for batch in request["plan"]["batches"]
        )
        calls = [
            scenario.call("main/client", "main/going", protocol=protocol)
            for protocol in ("http", "http2", "grpc")
        ]
        statuses = [traffic.statuses for traffic in driver.send(calls)]
        assert sent[:3] == [("http", "GET"), ("http2", "GET"), ("grpc", "POST")]
        assert statuses == [{"200": 1}] * 3

    @pytest.mark.parametrize(
        ("protocol", "what"),
        [
            ("http", "GET /a x-user: alice"),
            ("http2", "HTTP/2 GET /a x-user: alice"),
            ("grpc", "gRPC /a x-user: alice"),
        ],
    )
    def test_names_the_protocol_of_a_call(self, protocol: str, what: str) -> None:
        call = Call("main/client", "root", 8080, 1, protocol, path="/a", headers={"x-user": "alice"})
        assert str(call) == f"main/client → root:8080 {what}"

    def test_sends_one_plan_per_client(
        self, driver: Driver, scenario: Scenario, cluster: FakeCluster
    ) -> None:
        plans: list[tuple[str, Mapping[str, Any]]] = []
        cluster.on_ask = lambda pod, request: plans.append((pod, request))
        calls = [
            scenario.call(client, "main/going") for client in ("main/client", "main/client-b", "main/client")
        ]
        seen = driver.send(calls)
        assert [one.call for one in seen] == calls
        assert sorted((pod, len(request["plan"]["batches"])) for pod, request in plans) == [
            ("client", 3),
            ("client-b", 2),
        ]

    def test_sends_control_requests_with_the_traffic(self, driver: Driver, scenario: Scenario) -> None:
        driver.send([scenario.call("main/client", "main/going")])
        assert driver.environment.control_p99_us == 900
        assert driver.environment.control_failures == 0

    def test_background_traffic_runs_until_it_is_stopped(self, driver: Driver, scenario: Scenario) -> None:
        steady = driver.start(scenario.call("main/client", "main/going"), rate_per_s=50, duration_s=60)
        assert steady.received("main/v1") > 0
        traffic = steady.stop(ledgers=["main/v1"])
        assert traffic.sent == traffic.answers == STEADY + MORE
        assert traffic.received["v1"] == traffic.answered["v1"]

    def test_sends_control_requests_with_background_traffic(self, driver: Driver, scenario: Scenario) -> None:
        steady = driver.start(scenario.call("main/client", "main/going"), rate_per_s=50, duration_s=60)
        assert driver.environment.control_p99_us == 0
        steady.stop()
        assert driver.environment.control_p99_us == 900

    def test_reports_background_traffic_that_expired_before_its_stop(
        self, driver: Driver, scenario: Scenario, cluster: FakeCluster
    ) -> None:
        def traffic() -> Traffic:
            call = scenario.call("main/client", "main/going")
            return driver.start(call, rate_per_s=50, duration_s=60).stop()

        assert not traffic().expired
        cluster.mesh.lasted_s = 60.0
        assert traffic().expired

    def test_stops_background_traffic_after_an_exception(
        self, driver: Driver, scenario: Scenario, cluster: FakeCluster
    ) -> None:
        call = scenario.call("main/client", "main/going")
        with driver.start(call, rate_per_s=50, duration_s=60) as steady:
            assert cluster.mesh.background
        with pytest.raises(KeyError), steady:
            raise KeyError
        assert not cluster.mesh.background
        # The traffic was stopped already, which does not hide the exception.
        with pytest.raises(KeyError), steady:
            raise KeyError

    def test_slows_background_traffic_beyond_the_limit_of_a_plan(
        self, driver: Driver, scenario: Scenario
    ) -> None:
        call = scenario.call("main/client", "main/going")
        slow = driver.start(call, rate_per_s=600, duration_s=3_000)
        assert slow.rate_per_s == 60
        assert slow.stop().answers == STEADY
        assert driver.start(call, rate_per_s=600, duration_s=60).rate_per_s == 600

    def test_reports_the_refusal_of_the_probe(self, driver: Driver) -> None:
        with pytest.raises(
            ExecFailed, match=r"the probe of main/client refused: batch .*: port must be a number from"
        ):
            driver.send([Call("main/client", ROOT, 0, requests=1)])

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda lines: lines[:-1], "the probe of main/client broke off before the end"),
            (
                lambda lines: [*lines[:-1], {**lines[-1], "complete": False}],
                "plan of main/client was cut short: no batch",
            ),
            (lambda lines: [lines[0], *lines[2:]], "observations of main/client are missing"),
            (lambda lines: [], "the probe of main/client answered ''"),
            (lambda lines: ["hello"], 'the probe of main/client answered \'"hello"'),
        ],
        ids=["no end line", "incomplete", "lost lines", "nothing", "no object"],
    )
    def test_rejects_an_incomplete_answer_of_the_probe(
        self,
        driver: Driver,
        scenario: Scenario,
        cluster: FakeCluster,
        monkeypatch: pytest.MonkeyPatch,
        spoil: Callable[[list[Any]], list[Any]],
        message: str,
    ) -> None:
        honest = cluster.exec_line

        def ask(*question: Any) -> str:
            lines = [json.loads(line) for line in honest(*question).splitlines()]
            return "".join(json.dumps(line) + "\n" for line in spoil(lines))

        monkeypatch.setattr(cluster, "exec_line", ask)
        with pytest.raises(ExecFailed, match=message):
            driver.send([scenario.call("main/client", "main/going", requests=3)])

    def test_keeps_foreign_answers_printable_and_short(
        self, driver: Driver, scenario: Scenario, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest = cluster.exec_line
        said = ["HTTP/1.1 403\r\n\r\n\x1b[2Jno", "\u202e" + "x" * 5000, "a", "b"]

        def ask(*question: Any) -> str:
            lines = [json.loads(line) for line in honest(*question).splitlines()]
            if lines[-1].get("kind") == "end":
                for total in lines[-1]["batches"].values():
                    total["samples"] = [[one, 9 - place] for place, one in enumerate(said)]
            return "".join(json.dumps(line) + "\n" for line in lines)

        monkeypatch.setattr(cluster, "exec_line", ask)
        (traffic,) = driver.send([scenario.call("main/client", "main/going", requests=3)])
        assert traffic.foreign == {
            "HTTP/1.1 403 \\x1b[2Jno": 9,
            ("\\u202e" + "x" * 5000)[:200]: 8,
            "a": 7,
        }

    def test_rejects_noise_as_an_answer_of_the_probe(self, driver: Driver, cluster: FakeCluster) -> None:
        cluster.exec_line = lambda *question: "bash: python3: not found\n"  # type: ignore[method-assign]
        with pytest.raises(ExecFailed, match="answered something other than JSON"):
            driver.send([Call("main/client", ROOT, 8080, requests=1)])

    def test_rejects_a_lost_ledger(self, driver: Driver, scenario: Scenario, cluster: FakeCluster) -> None:
        call = scenario.call("main/client", "main/going", requests=9)
        driver.send([call], ledgers=["main/v1"])
        cluster.mesh.ledgers.clear()
        with pytest.raises(ExecFailed, match="the probe of main/v1 restarted and lost its ledger"):
            driver.send([call], ledgers=["main/v1"])
        driver.send([call], ledgers=["main/v1"])

    def test_distinguishes_pods_of_the_same_name_in_two_namespaces(
        self, driver: Driver, scenario: Scenario
    ) -> None:
        pods = [scenario.arena.pod(f"{part}/server") for part in ("access", "metrics")]
        assert pods[0].name == pods[1].name
        call = scenario.call("main/client", "main/going", requests=9)
        driver.send([call], ledgers=["access/server", "metrics/server"])
        driver.send([call], ledgers=["access/server", "metrics/server"])

    def test_rejects_a_full_ledger(self, driver: Driver, scenario: Scenario, cluster: FakeCluster) -> None:
        cluster.mesh.ledgers[driver.arena.pod("main/v1").ip].dropped = 1
        with pytest.raises(ExecFailed, match="the ledger of main/v1 is full"):
            driver.send([scenario.call("main/client", "main/going")], ledgers=["main/v1"])


class TestAScenario:
    def test_observes_traffic_before_and_after_a_change(self, scenario: Scenario) -> None:
        call = scenario.call("main/client", "main/going", requests=200)
        (effect,) = scenario.apply_and_sample(
            [ExpectedResponders(call, frozenset({"v2"}))], "split.yaml", servers=["main/v2"]
        )
        assert effect.baseline.answered.keys() == {"v1"}
        assert effect.sample.answered == {"v2": 200}
        assert effect.convergence == Convergence("only v2 answer", 3.0, 0.0)

    def test_samples_by_weight_no_further_than_the_look_that_ends_the_sample(
        self, scenario: Scenario
    ) -> None:
        call = scenario.call("main/client", "main/going")
        wanted = ExpectedResponders.by_weight(call, {"v2": 1, "v1": 0})
        assert (wanted.responders, wanted.call.requests) == ({"v2"}, 900)
        halves = ExpectedResponders.by_weight(call, {"v1": 1, "v2": 1}, must_appear=frozenset({"v1"}))
        assert (halves.responders, halves.must_appear) == ({"v1", "v2"}, {"v1"})
        assert halves.share_test is not None
        options = SendOptions(share_test=halves.share_test)
        scenario.apply("split.yaml")
        (alone,) = scenario.driver.send([halves.call], options)
        assert alone.sent < 600
        assert alone.looks[-1] == Look(alone.sent, {"v2": alone.sent})
        (split,) = scenario.objects("split.yaml")
        split["spec"]["backends"] = [{"service": name, "weight": 1} for name in ("v1", "v2")]
        scenario.apply_objects([split])
        (sample,) = scenario.driver.send([halves.call], options)
        assert sample.sent < halves.call.requests
        ended = halves.share_test.ended_at(sample.looks, sample.sent)
        assert ended is not None
        assert ended.look is sample.looks[-1]
        assert sample.looks[-1] == Look(sample.sent, sample.answered)
        (fixed,) = scenario.driver.send([halves.call])
        assert (fixed.sent, fixed.looks) == (halves.call.requests, ())

    def test_counts_the_workloads_of_a_backend_together(self, scenario: Scenario) -> None:
        call = scenario.call("main/client", "main/going")
        wanted = ExpectedResponders.by_weight(call, {"v1": 1, "pair": 1}, {"pair": ("v2", "v3")})
        assert wanted.responders == {"v1", "v2", "v3"}

    def test_has_what_the_wait_saw_last_for_its_null_control(
        self, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[int] = []

        def send(
            calls: Sequence[Call],
            options: SendOptions = SendOptions(),  # noqa: B008
            *,
            ledgers: Iterable[str] = (),
        ) -> Any:
            # Of a service made just now a mesh may know nothing, then the service, then its endpoints.
            sent.append(len(sent))
            return {1: [replace(one, answered={}, statuses={"503": one.sent}) for one in seen]}.get(
                sent[-1], real(calls, options, ledgers=ledgers)
            )

        call = scenario.call("main/client", "main/going", requests=200)
        real = scenario.driver.send
        seen = real([call], POLL_REUSED)
        scenario.driver = cast(Driver, SimpleNamespace(send=send))
        (effect,) = scenario.apply_and_sample(
            [ExpectedResponders(call, frozenset({"v2"}))], "split.yaml", servers=["main/v2"]
        )
        assert effect.baseline.answered.keys() == {"v1"}
        assert effect.baseline.received.keys() == {"v2"}
        assert effect.convergence.took_s is not None

    @pytest.mark.parametrize(
        ("shown", "sizes"),
        [
            ([True], [60]),
            ([False, False, True, True], [60, 15, 15, 60]),
            # A whole poll shows the responders that a small one missed.
            ([False, True, False, False, True, True], [60, 15, 60, 15, 15, 60]),
        ],
    )
    def test_looks_at_little_until_what_it_waits_for_shows_and_then_at_all(
        self, scenario: Scenario, shown: list[bool], sizes: list[int]
    ) -> None:
        sent: list[tuple[int, bool]] = []

        def send(
            calls: Sequence[Call], options: SendOptions, *, ledgers: Sequence[str] = ()
        ) -> list[Traffic]:
            sent.append((calls[0].requests, bool(ledgers)))
            answered = {"v2": calls[0].requests} if shown[len(sent) - 1] else {"v1": calls[0].requests}
            return [Traffic(one, one.requests, answered, {}, {}, {}, {}) for one in calls]

        scenario.driver = cast(Driver, SimpleNamespace(send=send))
        call = scenario.call("main/client", "main/going")
        (convergence,), (last,) = scenario.wait_for_responders(
            [call], lambda _, seen: classify_poll(seen, only={"v2"}), ["v2"], ["main/v2"]
        )
        assert [size for size, _ in sent] == sizes
        assert [ledgers for _, ledgers in sent] == [size == 60 for size in sizes]
        assert last.sent == 60
        assert convergence.converged

    def test_looks_at_all_where_nothing_speaks_against_it_but_somebody_was_not_seen(
        self, scenario: Scenario
    ) -> None:
        """As of a mesh that chooses once for each connection: few connections show few backends."""
        everybody, sent = ("v1", "v2", "v3", "client-b", "fresh"), []

        def send(
            calls: Sequence[Call], options: SendOptions, *, ledgers: Sequence[str] = ()
        ) -> list[Traffic]:
            sent.append(calls[0].requests)
            # Of twenty connections all five are seen, of five never.
            seen = ("old",) if len(sent) < 3 else everybody if calls[0].requests == 60 else everybody[:3]
            answered = dict.fromkeys(seen, calls[0].requests // len(seen))
            return [Traffic(one, one.requests, answered, {}, {}, {}, {}) for one in calls]

        scenario.driver = cast(Driver, SimpleNamespace(send=send))
        call = scenario.call("main/client", "main/going")
        (convergence,), _ = scenario.wait_for_responders(
            [call], lambda _, seen: classify_poll(seen, only={*everybody}, all_of={*everybody}), ["all"]
        )
        assert convergence.converged
        assert sent == [60, 15, 15, 60]

    def test_sends_each_request_of_the_null_control_on_a_connection_of_its_own(
        self, scenario: Scenario
    ) -> None:
        sent: list[tuple[int, int | None]] = []
        real = scenario.driver.send

        def send(
            calls: Sequence[Call],
            options: SendOptions = SendOptions(),  # noqa: B008
            *,
            ledgers: Iterable[str] = (),
        ) -> Any:
            sent.append((calls[0].requests, options.per_connection))
            return real(calls, options, ledgers=ledgers)

        call = scenario.call("main/client", "main/going", requests=200)
        scenario.driver = cast(Driver, SimpleNamespace(send=send))
        scenario.apply_and_sample(
            [ExpectedResponders(call, frozenset({"v2"}))], "split.yaml", servers=["main/v2"]
        )
        # That of the effect shows whether all requests of a connection go the same way.
        assert sent == [(60, 1), (60, 3), (200, None)]

    @pytest.mark.parametrize("shows_late", [True, False])
    def test_looks_at_all_once_more_where_nothing_came_in_time(
        self, scenario: Scenario, shows_late: bool
    ) -> None:
        sent: list[int] = []

        def send(
            calls: Sequence[Call], options: SendOptions, *, ledgers: Sequence[str] = ()
        ) -> list[Traffic]:
            sent.append(calls[0].requests)
            there = shows_late and scenario.waiter.clock.now() - begun > 3
            answered = {"v2" if there else "v1": calls[0].requests}
            return [Traffic(one, one.requests, answered, {}, {}, {}, {}) for one in calls]

        begun = scenario.waiter.clock.now()
        scenario.driver = cast(Driver, SimpleNamespace(send=send))
        call = scenario.call("main/client", "main/going")
        (convergence,), (last,) = scenario.wait_for_responders(
            [call], lambda _, seen: classify_poll(seen, only={"v2"}), ["v2"]
        )
        assert (sent[0], *set(sent[1:-1]), sent[-1]) == (60, 15, 60)
        assert last.answered == {"v2" if shows_late else "v1": 60}
        assert not convergence.converged

    @pytest.mark.parametrize(("took_s", "converged"), [(2.9, True), (3.0, True), (3.1, False)])
    def test_takes_what_a_look_shows_for_there_when_it_began(
        self, scenario: Scenario, took_s: float, converged: bool
    ) -> None:
        def send(
            calls: Sequence[Call], options: SendOptions, *, ledgers: Sequence[str] = ()
        ) -> list[Traffic]:
            scenario.waiter.clock.pause(took_s)
            return [Traffic(one, one.requests, {"v2": one.requests}, {}, {}, {}, {}) for one in calls]

        def check() -> bool:
            scenario.waiter.clock.pause(took_s)
            return True

        scenario.driver = cast(Driver, SimpleNamespace(send=send))
        call = scenario.call("main/client", "main/going")
        assert scenario.until(check, "a look").converged == converged
        # All that a poll shows was so from its first request on; of another check only the end is known.
        (answered,), _ = scenario.wait_for_responders([call], lambda _, seen: classify_poll(seen), ["v2"])
        assert answered.took_s == 0.0
        granted = scenario.wait_for_access([AccessCheck("all", "granted", call, "v2")])["all"]
        assert granted.took_s == 0.0

    @pytest.mark.parametrize("dead", [(0,), (1,), (0, 1), ()])
    def test_has_a_null_control_of_each_call_in_their_order(
        self, scenario: Scenario, dead: tuple[int, ...]
    ) -> None:
        calls = [
            scenario.call("main/client", f"main/{'nothing' if position in dead else 'going'}", requests=200)
            for position in range(2)
        ]
        wanted = [
            ExpectedResponders(call, frozenset({"v2"}), unreachable_before=position in dead)
            for position, call in enumerate(calls)
        ]
        effects = scenario.apply_and_sample(wanted, servers=[])
        assert [bool(effect.baseline.answers) for effect in effects] == [
            position not in dead for position in range(2)
        ]
        assert [effect.baseline.call.host for effect in effects] == [call.host for call in calls]

    def test_that_never_settles_says_so_and_draws_its_sample_all_the_same(
        self, scenario: Scenario, cluster: FakeCluster
    ) -> None:
        cluster.mesh.splits = False
        call = scenario.call("main/client", "main/going", requests=200)
        (effect,) = scenario.apply_and_sample(
            [ExpectedResponders(call, frozenset({"v2"}))], "split.yaml", servers=[]
        )
        assert effect.convergence == Convergence("only v2 answer", 3.0, None)
        assert effect.sample.sent == 200

    @pytest.mark.parametrize(("known_after_s", "gave_up_at_s"), [(1.0, 1.2), (9.0, 3.2)])
    def test_does_not_wait_for_what_is_known_not_to_come(
        self, scenario: Scenario, known_after_s: float, gave_up_at_s: float
    ) -> None:
        begun = scenario.waiter.clock.now()
        scenario.mesh_is_idle = lambda waited_s: waited_s >= known_after_s
        assert not scenario.wait_for_propagation(lambda: False, "what never comes").converged
        assert gave_up_at_s - 0.7 < scenario.waiter.clock.now() - begun < gave_up_at_s + 0.4
        assert scenario.wait_for_propagation(lambda: True, "what is there").took_s == 0.0

    def test_looks_once_more_at_what_the_mesh_settled_during_a_look(self, scenario: Scenario) -> None:
        # A look takes a while on a busy machine; the mesh took the change up after its beginning.
        clock = scenario.waiter.clock
        settled_at = clock.now() + 0.5
        scenario.mesh_is_idle = lambda _: clock.now() >= settled_at

        def look() -> bool:
            there = clock.now() >= settled_at
            clock.pause(1.0)
            return there

        assert scenario.wait_for_propagation(look, "what came meanwhile").converged

    def test_waits_for_what_hangs_on_more_than_the_mesh(self, scenario: Scenario) -> None:
        scenario.mesh_is_idle = lambda _: True
        for wait, within_s in (
            (scenario.until, scenario.profile.converge.within_s),
            (scenario.wait_for_volume, VOLUME_WITHIN_S),
        ):
            begun = scenario.waiter.clock.now()
            assert not wait(lambda: False, "pods that go, or traffic that adds up").converged
            assert scenario.waiter.clock.now() - begun >= within_s

    @pytest.mark.parametrize(("splits", "sent"), [(True, 2_000), (False, 500)])
    def test_draws_no_large_sample_of_what_never_settled(
        self, scenario: Scenario, cluster: FakeCluster, splits: bool, sent: int
    ) -> None:
        cluster.mesh.splits = splits
        call = scenario.call("main/client", "main/going", requests=2_000)
        (effect,) = scenario.apply_and_sample(
            [ExpectedResponders(call, frozenset({"v2"}))], "split.yaml", servers=[]
        )
        assert effect.sample.sent == sent

    def test_waits_for_a_workload_that_must_show(self, scenario: Scenario) -> None:
        call = scenario.call("main/client", "main/going", requests=10)
        division = ExpectedResponders(call, frozenset({"v1", "v2"}), frozenset({"v1"}))
        (effect,) = scenario.apply_and_sample([division], "split.yaml", servers=[])
        assert effect.convergence.took_s is None

    def test_deletes_its_objects_newest_first(self, scenario: Scenario, cluster: FakeCluster) -> None:
        gone: list[str] = []
        delete = cluster.delete

        def note(objects: Any) -> None:
            for item in objects:
                gone.append(item["kind"])
                delete([item])

        cluster.delete = note  # type: ignore[method-assign]
        scenario.apply("services.yaml", "split.yaml")
        scenario.delete_applied()
        assert gone == ["TrafficSplit", "Service"]
        scenario.delete_applied()
        assert len(gone) == 2

    def test_a_second_object_of_a_name_is_an_edit(self, context: RunContext) -> None:
        scenario = context.scenario("traffic-split/live-edits")
        context.arena.create(["main"])
        scenario.apply("1-most-to-v2.yaml", "2-all-to-v3.yaml")
        assert len(scenario.applied) == 1

    def test_does_not_list_deleted_objects_as_applied(self, scenario: Scenario) -> None:
        scenario.apply("services.yaml", "split.yaml")
        scenario.delete("split.yaml")
        assert [item["kind"] for item in scenario.applied] == ["Service"]

    def test_samples_fresh_connections_where_each_stays_with_one_backend(self, scenario: Scenario) -> None:
        call = scenario.call("main/client", "main/v1", requests=60)
        (stuck,) = scenario.send(call, servers=[])
        assert sampling(stuck).new_connections
        (spread,) = scenario.send(scenario.call("main/client", _pooled(scenario), requests=600), servers=[])
        assert not sampling(spread).new_connections

    def test_drives_steadily_on_kept_connections_and_on_new_ones(self, scenario: Scenario) -> None:
        call = scenario.call("main/client", "main/going", requests=60)
        with scenario.background_traffic(call, rate_per_s=50, duration_s=60) as steady:
            kept, fresh = [one.stop() for one in steady]
        assert (kept.new_connections, fresh.new_connections) == (False, True)
        assert kept.connections > 0
        assert kept.answers == fresh.answers == STEADY

    def test_drives_an_ask_and_its_twin_at_the_same_moment(self, context: RunContext) -> None:
        context.arena.wait_ready(["access", "outside"])
        scenario = context.scenario("traffic-access/default-deny")
        call = scenario.call("access/alpha", "access/server")
        twin = scenario.call("access/alpha", "outside/outsider")
        asks = [
            AccessCheck("closed", "denied", call, "server", twin),
            AccessCheck("open", "granted", call, "server"),
        ]
        table = scenario.access(asks, "target.yaml", servers=["access/server", "outside/outsider"])
        closed, opened = table.results
        assert closed.control is not None
        assert closed.control.answered == {"outsider": 10}
        assert opened.control is None
        assert closed.traffic.new_connections
        assert closed.baseline is not None
        assert closed.baseline.sent == 3

    def test_lets_each_ask_settle_by_itself(self, context: RunContext) -> None:
        context.arena.wait_ready(["access"])
        scenario = context.scenario("traffic-access/routes")
        call = scenario.call("access/alpha", "access/server")
        asks = [
            AccessCheck("denied", "denied", call, "server"),
            AccessCheck("granted", "granted", call, "server"),
        ]
        table = scenario.access(asks, "target.yaml", servers=["access/server"])
        denied, granted = table.results
        assert granted.convergence.took_s == 0.0
        assert denied.convergence.took_s is None
        assert table.select("granted").results == (granted,)
        assert table.select("granted", "denied").results == (granted, denied)
        with pytest.raises(KeyError):
            table.select("nobody")


class TestReading:
    def test_records_the_account_the_path_and_the_time_of_a_read(
        self, cluster: FakeCluster, clock: VirtualClock
    ) -> None:
        reader = Reader(cluster, Waiter(clock))
        clock.pause(2.5)
        read = reader.metrics("ns", "pods", "web", edges=True, account=Account("ns", "reader"))
        assert read.path == "/apis/metrics.smi-spec.io/v1alpha1/namespaces/ns/pods/web/edges"
        assert (read.reader, read.status, read.at_s) == ("ns/reader", 404, 2.5)
        assert reader.read("/version").reader == "the runner"

    @pytest.mark.parametrize(
        ("unavailable", "status", "rests"),
        [(0, 200, False), (3, 200, True), (10_000, 503, True)],
        ids=["available", "away for a moment", "away for good"],
    )
    def test_repeats_a_read_while_the_api_is_unavailable(
        self,
        cluster: FakeCluster,
        clock: VirtualClock,
        monkeypatch: pytest.MonkeyPatch,
        unavailable: int,
        status: int,
        rests: bool,
    ) -> None:
        asked = 0

        def request(method: str, path: str, *rest: Any, **options: Any) -> ApiAnswer:
            nonlocal asked
            asked += 1
            return ApiAnswer(503 if asked <= unavailable else 200, {})

        monkeypatch.setattr(cluster, "request", request)
        reader = Reader(cluster, Waiter(clock))
        read = reader.read("/apis")
        assert read.status == status
        assert bool(clock.pauses) == rests
        assert read.at_s == round(sum(clock.pauses), 3) == read.unavailable_s
        assert sum(clock.pauses) <= AVAILABLE_WITHIN_S + 0.5
        asked_before = asked
        assert reader.read("/apis").status == status
        assert asked == asked_before + 1, "an API that stayed unavailable is not waited for again"

    def test_lists_the_kinds_that_are_served(self, cluster: FakeCluster) -> None:
        assert ("specs.smi-spec.io", "v1alpha4", "UDPRoute") in set(served_kinds(cluster))
        assert not any(group == "apps" for group, _, _ in served_kinds(cluster))

    @pytest.mark.parametrize(
        "body", ["no JSON", [], {}, {"resources": "x"}, {"resources": [1, {}, {"kind": 2}]}]
    )
    def test_lists_no_kinds_of_a_group_with_unreadable_discovery(
        self, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, body: Any
    ) -> None:
        honest = cluster.request

        def request(method: str, path: str, *rest: Any, **options: Any) -> Any:
            answer = honest(method, path, *rest, **options)
            return type(answer)(200, body) if path.startswith("/apis/split") else answer

        monkeypatch.setattr(cluster, "request", request)
        assert {group for group, _, _ in served_kinds(cluster)} == {"access.smi-spec.io", "specs.smi-spec.io"}

    def test_lists_the_claimed_kinds(self) -> None:
        claims = Claims(split=("v1alpha2",), access=("v1alpha4",), specs=("v1alpha3",), metrics=("v1alpha1",))
        assert [kind for _, _, kind in claimed_kinds(claims)] == [
            "TrafficSplit",
            "TrafficTarget",
            "IdentityBinding",
            "HTTPRouteGroup",
            "TCPRoute",
            "TrafficMetrics",
        ]

    def test_a_watch_must_show_the_change_that_was_made(
        self, context: RunContext, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest = cluster.request

        def request(method: str, path: str, *rest: Any, **options: Any) -> Any:
            answer = honest(method, path, *rest, **options)
            if "watch" in (options.get("query") or {}):
                return type(answer)(200, {"type": "MODIFIED", "object": {"metadata": {}}})
            return answer

        monkeypatch.setattr(cluster, "request", request)
        (split,) = context.scenario("traffic-split/delete").objects("split.yaml")
        assert not round_trip(cluster, context.waiter, split, within_s=1).verbs["watch"]

    @pytest.mark.parametrize("broken", [None, "POST", "PATCH", "PUT", "DELETE", "watch"])
    def test_a_round_trip_tries_every_verb(
        self, context: RunContext, cluster: FakeCluster, broken: str | None
    ) -> None:
        honest = cluster.request

        def request(method: str, path: str, *rest: Any, **options: Any) -> Any:
            word = "watch" if "watch" in (options.get("query") or {}) else method
            answer = honest("GET" if word == broken else method, path, *rest, **options)
            if word == broken:
                return type(answer)(405, {"message": "not allowed"})
            return answer

        cluster.request = request  # type: ignore[method-assign]
        context.arena.create(["outside"])
        (split,) = context.scenario("traffic-split/delete").objects("split.yaml")
        trip = round_trip(cluster, context.waiter, split, within_s=1)
        verbs = {"POST": "create", "PATCH": "patch", "PUT": "replace", "DELETE": "delete", "watch": "watch"}
        failed = {verb for verb, done in trip.verbs.items() if not done}
        if broken is None:
            assert failed == set()
            assert trip.read["spec"] == split["spec"]
        else:
            assert verbs[broken] in failed

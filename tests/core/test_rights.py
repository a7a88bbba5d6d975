"""What a run needs of a cluster, and what is said where it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from conformance import doctor, rights
from conformance.catalogue import GROUPS
from conformance.clusters import Answer, ClusterError
from conformance.diagnostics import gather
from conformance.drive.arena import Arena
from conformance.rights import Right
from conformance.session import Session

from .fake_cluster import FakeCluster

CLUSTER_ROLE = Path(__file__).parents[2] / "docs" / "rbac.yaml"


class TestRights:
    def test_are_those_of_the_documented_cluster_role_and_no_other(self) -> None:
        role = yaml.safe_load(CLUSTER_ROLE.read_text(encoding="utf-8"))
        documented = [
            Right(verb, group, resource)
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        ]
        assert role["kind"] == "ClusterRole"
        assert len(documented) == len(set(documented))
        assert set(documented) == set(rights.needed(GROUPS, ingress=True))

    def test_grow_with_the_groups_that_a_run_works_with(self) -> None:
        small, large = (set(rights.needed(groups, ingress=False)) for groups in ([], ["split"]))
        assert {right.group for right in large - small} == {"split.smi-spec.io"}

    def test_are_for_ingresses_where_the_mesh_has_one_and_splits_are_tried(self) -> None:
        without, with_one = (set(rights.needed(["split"], ingress=ingress)) for ingress in (False, True))
        assert {right.group for right in with_one - without} == {"networking.k8s.io"}
        assert {right.resource for right in with_one - without} == {"ingresses"}
        assert {right.group for right in rights.needed(["metrics"], ingress=True)} & {
            "networking.k8s.io"
        } == set()

    def test_that_are_missing_are_named(self, cluster: FakeCluster) -> None:
        cluster.forbidden = frozenset(
            {("create", "pods"), ("watch", "trafficsplits"), ("delete", "ingresses")}
        )
        lacking = rights.missing(cluster, ["split"], ingress=True)
        assert list(map(str, lacking)) == [
            "create pods",
            "create pods/exec",
            "watch trafficsplits.split.smi-spec.io",
            "delete ingresses.networking.k8s.io",
        ]

    def test_that_nobody_tells_are_an_error(
        self, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cluster, "request", lambda *_: Answer(403, {}))
        with pytest.raises(ClusterError, match=r"does not say what one may do \(HTTP 403\)"):
            rights.missing(cluster, [], ingress=False)


class TestTheDoctor:
    def test_finds_nothing_wrong_where_all_is_well(self, session: Session, cluster: FakeCluster) -> None:
        checks = list(doctor.examine(session))
        assert all(check.ok for check in checks)
        assert [check.what for check in checks] == [
            "cluster", "rights", "APIs", "APIs", "APIs", "metrics", "ingress", "joined", "reachable",
        ]  # fmt: skip
        assert cluster.objects == {}

    def test_looks_no_further_where_nobody_answers(
        self, session: Session, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> Answer:
            raise ClusterError("cannot be reached")

        monkeypatch.setattr(cluster, "request", refuse)
        (check,) = doctor.examine(session)
        assert str(check) == "cannot be reached"

    def test_says_who_may_not_ask(
        self, session: Session, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cluster, "request", lambda *_: Answer(401, {}))
        (check,) = doctor.examine(session)
        assert str(check) == "the API server answers HTTP 401; check your credentials"

    def test_creates_nothing_without_the_rights(self, session: Session, cluster: FakeCluster) -> None:
        cluster.forbidden = frozenset({("create", "namespaces")})
        wrong = [check for check in doctor.examine(session) if not check.ok]
        assert [check.what for check in wrong] == ["rights"]
        assert cluster.created == []

    def test_names_kinds_that_are_not_served(self, session: Session, cluster: FakeCluster) -> None:
        cluster.serves["specs.smi-spec.io/v1alpha4"] = ("HTTPRouteGroup",)
        (wrong,) = [check for check in doctor.examine(session) if not check.ok]
        assert wrong.seen == "specs.smi-spec.io/v1alpha4 is not served with TCPRoute, UDPRoute"

    def test_names_a_metrics_api_that_does_not_answer(self, session: Session) -> None:
        claims = session.profile.claims.model_copy(update={"metrics": ("v1alpha1",)})
        session.profile = session.profile.model_copy(update={"claims": claims})
        check = doctor.metrics(session)
        assert check.seen == "/apis/metrics.smi-spec.io/v1alpha1 answers HTTP 404"

    def test_names_pods_that_do_not_join_and_removes_them(
        self, session: Session, cluster: FakeCluster
    ) -> None:
        join = session.profile.join.model_copy(update={"sidecar": True})
        session.profile = session.profile.model_copy(update={"join": join})
        session.arena.profile = session.profile
        (wrong,) = [check for check in doctor.examine(session) if not check.ok]
        assert (wrong.what, "no sidecar" in wrong.seen) == ("joined", True)
        assert cluster.objects == {}

    def test_names_calls_that_are_not_answered(self, session: Session, cluster: FakeCluster) -> None:
        def without_endpoints(item: object) -> None:
            assert isinstance(item, dict)
            if item["kind"] == "Service":
                item["spec"]["selector"] = {"app": "nobody"}

        cluster.on_apply = without_endpoints
        (wrong,) = [check for check in doctor.examine(session) if not check.ok]
        assert wrong.seen.startswith(
            "0 of 20 calls to outsider.smi-outside-r1.svc.cluster.local were answered"
        )
        assert "{'refused': 20}" in wrong.seen


class TestDiagnostics:
    def test_are_warnings_and_last_lines(self, arena: Arena, cluster: FakeCluster) -> None:
        arena.prepare(["peer"])
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": "smi-peer-r1", "name": "e"},
            "type": "Warning",
            "reason": "Unhealthy",
            "message": "no answer",
            "involvedObject": {"kind": "Pod", "name": "peer"},
            "lastTimestamp": "2026-01-01T00:00:00Z",
        }
        cluster.apply([event])
        found = {one.name: one.text for one in gather(cluster, "r1", ["smi-peer-r1"], "scenario")}
        assert found == {
            "scenario: warnings in smi-peer-r1": "2026-01-01T00:00:00Z Pod/peer Unhealthy: no answer",
            **{
                f"scenario: log of smi-peer-r1/{pod}, probe": "log of probe"
                for pod in ("peer", "p1-1", "p2-1")
            },
        }

    def test_that_cannot_be_read_are_told(
        self, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise ClusterError("forbidden")

        monkeypatch.setattr(cluster, "list", refuse)
        (one,) = gather(cluster, "r1", ["smi-peer-r1"], "scenario")
        assert one.text == "could not be read: forbidden"


class TestTheClusterInReports:
    def test_is_described_by_version_and_nodes(self, session: Session, cluster: FakeCluster) -> None:
        info = {
            "architecture": "amd64",
            "osImage": "Debian",
            "kernelVersion": "6.8",
            "containerRuntimeVersion": "containerd://2",
        }
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"nodeInfo": info}}
        cluster.apply([node])
        found = session.cluster_info()
        assert (found.context, found.kubernetes) == ("fake", "v1.31.0")
        assert [one.name for one in found.nodes] == ["n1"]

    def test_is_left_out_where_it_cannot_be_read(
        self, session: Session, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> Answer:
            raise ClusterError("gone")

        monkeypatch.setattr(cluster, "request", refuse)
        assert session.cluster_info().kubernetes == "unknown"

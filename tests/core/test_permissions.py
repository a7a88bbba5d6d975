"""Permissions of a run, diagnostics, and the description of the cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from conformance.catalogue import GROUPS
from conformance.clusters import ApiAnswer, ClusterError
from conformance.drive.arena import Arena
from conformance.drive.cluster_rules import ClusterRules
from conformance.profiles import ControlPlaneLocation
from conformance.run import permissions
from conformance.run.context import RunContext
from conformance.run.diagnostics import gather
from conformance.run.permissions import Permission
from conformance.run.results import cluster_info

from .fake_cluster import FakeCluster

CLUSTER_ROLE = Path(__file__).parents[2] / "docs" / "rbac.yaml"


class TestRights:
    def test_are_those_of_the_documented_cluster_role_and_no_other(self) -> None:
        roles = list(yaml.safe_load_all(CLUSTER_ROLE.read_text(encoding="utf-8")))
        documented = [
            [
                Permission(verb, group, resource)
                for rule in role["rules"]
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            ]
            for role in roles
        ]
        assert {role["kind"] for role in roles} == {"ClusterRole"}
        assert all(len(each) == len(set(each)) for each in documented)
        ordinary, on_top = map(set, documented)
        assert ordinary == set(permissions.needed(GROUPS, ingress=True))
        demanding = ClusterRules(registries="secret", open_network=True)
        assert on_top == set(permissions.needed(GROUPS, ingress=True, rules=demanding)) - ordinary

    def test_grow_with_the_groups_that_a_run_works_with(self) -> None:
        small, large = (set(permissions.needed(groups, ingress=False)) for groups in ([], ["split"]))
        assert {right.group for right in large - small} == {"split.smi-spec.io"}

    def test_are_for_ingresses_where_the_mesh_has_one_and_splits_are_tried(self) -> None:
        without, with_one = (set(permissions.needed(["split"], ingress=ingress)) for ingress in (False, True))
        assert {right.group for right in with_one - without} == {"networking.k8s.io"}
        assert {right.resource for right in with_one - without} == {"ingresses"}
        assert {right.group for right in permissions.needed(["metrics"], ingress=True)} & {
            "networking.k8s.io"
        } == set()

    def test_that_are_missing_are_named(self, cluster: FakeCluster) -> None:
        cluster.forbidden = frozenset(
            {("create", "pods"), ("watch", "trafficsplits"), ("delete", "ingresses")}
        )
        lacking = permissions.missing(cluster, ["split"], ingress=True)
        assert list(map(str, lacking)) == [
            "create pods",
            "create pods/exec",
            "watch trafficsplits.split.smi-spec.io",
            "delete ingresses.networking.k8s.io",
        ]

    def test_that_cannot_be_reviewed_are_an_error(
        self, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cluster, "request", lambda *_: ApiAnswer(403, {}))
        with pytest.raises(ClusterError, match=r"does not tell the user.s permissions \(HTTP 403\)"):
            permissions.missing(cluster, [], ingress=False)


class TestDiagnostics:
    def test_are_warnings_and_last_lines(self, arena: Arena, cluster: FakeCluster) -> None:
        arena.create(["peer"])
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

    def test_have_the_log_of_the_control_plane_that_the_profile_names(
        self, arena: Arena, cluster: FakeCluster
    ) -> None:
        named = ControlPlaneLocation(namespace="mesh", selectors=("app=controller", "app=gone"))
        cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mesh"}}])
        marks = {"namespace": "mesh", "name": "controller-1", "labels": {"app": "controller"}}
        containers = [{"name": "controller"}]
        cluster.apply(
            [{"apiVersion": "v1", "kind": "Pod", "metadata": marks, "spec": {"containers": containers}}]
        )
        found = {one.name: one.text for one in gather(cluster, "r1", [], "scenario", named)}
        assert found == {
            "scenario: log of mesh/controller-1, controller": "log of controller",
            "scenario: control plane in mesh": "no pod matches app=gone",
        }

    def test_of_an_unreadable_control_plane_do_not_fail(
        self, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise ClusterError("pods is forbidden")

        monkeypatch.setattr(cluster, "list", refuse)
        named = ControlPlaneLocation(namespace="mesh", selectors=("app=controller",))
        (one,) = gather(cluster, "r1", [], "scenario", named)
        assert one.text == "could not be read: pods is forbidden"

    def test_report_read_errors(self, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise ClusterError("forbidden")

        monkeypatch.setattr(cluster, "list", refuse)
        (one,) = gather(cluster, "r1", ["smi-peer-r1"], "scenario")
        assert one.text == "could not be read: forbidden"


class TestTheClusterInReports:
    def test_is_described_by_version_and_nodes(self, context: RunContext, cluster: FakeCluster) -> None:
        info = {
            "architecture": "amd64",
            "osImage": "Debian",
            "kernelVersion": "6.8",
            "containerRuntimeVersion": "containerd://2",
        }
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"nodeInfo": info}}
        cluster.apply([node])
        found = cluster_info(context)
        assert (found.context, found.kubernetes) == ("fake", "v1.31.0")
        assert [one.name for one in found.nodes] == ["n1"]

    def test_is_left_out_where_it_cannot_be_read(
        self, context: RunContext, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> ApiAnswer:
            raise ClusterError("gone")

        monkeypatch.setattr(cluster, "request", refuse)
        assert cluster_info(context).kubernetes == "unknown"

"""The effects of requests: deletions, statuses, metadata, selectors, discovery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from api_objects import PODS, config, deployment, is_ready, names, namespace, pod, thing
from fake_node import Served
from kubernetes.dynamic import DynamicClient

from conformance.clusters import Account

CONFIGS = "/api/v1/namespaces/shop/configmaps"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


class TestDeleting:
    def test_with_a_precondition_leaves_another_object(self, served: Served) -> None:
        served.cluster.apply([config("one", a="1")])
        uid = served.cluster.request("GET", f"{CONFIGS}/one").body["metadata"]["uid"]
        other = {"preconditions": {"uid": "of another"}}
        assert served.cluster.request("DELETE", f"{CONFIGS}/one", other).status == 409
        assert (
            served.cluster.request("DELETE", f"{CONFIGS}/one", {"preconditions": {"uid": uid}}).status == 200
        )
        assert served.cluster.request("GET", f"{CONFIGS}/one").status == 404

    @pytest.mark.parametrize("path", [f"{CONFIGS}/one", CONFIGS], ids=["one", "all"])
    def test_in_a_dry_run_leaves_everything(self, served: Served, path: str) -> None:
        served.cluster.apply([config("one", a="1")])
        assert served.cluster.request("DELETE", path, query={"dryRun": "All"}).status == 200
        assert served.cluster.request("DELETE", path, {"dryRun": ["All"]}).status == 200
        assert served.cluster.request("GET", f"{CONFIGS}/one").status == 200

    def test_removes_all_selected_objects_and_no_others(self, served: Served) -> None:
        served.cluster.apply([pod("a"), pod("b")])
        served.has(f"{PODS}/a", is_ready)
        query = {"labelSelector": "app=a", "gracePeriodSeconds": "1"}
        assert served.cluster.request("DELETE", PODS, query=query).status == 200
        served.has(PODS, lambda body: names(body) == ["b"])
        assert served.node.stopped == [("shop", "a", 1.0)]


class TestApplying:
    def apply(self, served: Served, manager: str, **data: str) -> Any:
        query = {"fieldManager": manager} if manager else {}
        return served.cluster.request(
            "PATCH", f"{CONFIGS}/one", config("one", **data), query=query, content_type=APPLY
        )

    def test_creates_or_changes_and_reports_which(self, served: Served) -> None:
        assert self.apply(served, "first", a="1").status == 201
        assert self.apply(served, "first", a="2").status == 200

    def test_leaves_each_manager_its_fields(self, served: Served) -> None:
        self.apply(served, "first", a="1")
        self.apply(served, "second", b="2")
        assert self.apply(served, "first", c="3").body["data"] == {"b": "2", "c": "3"}

    def test_forgets_the_configuration_of_a_deleted_object(self, served: Served) -> None:
        self.apply(served, "first", a="1")
        served.cluster.delete([namespace("shop")])
        served.has("/api/v1/namespaces/shop", lambda body: body.get("code") == 404)
        served.cluster.apply([namespace("shop")])
        assert served.cluster.request("POST", CONFIGS, config("one", a="others")).status == 201
        assert self.apply(served, "first", b="2").body["data"] == {"a": "others", "b": "2"}

    def test_needs_a_manager(self, served: Served) -> None:
        answer = self.apply(served, "", a="1")
        assert (answer.status, "fieldManager" in answer.body["message"]) == (400, True)

    def test_in_a_dry_run_is_not_remembered(self, served: Served) -> None:
        self.apply(served, "first", a="1")
        query = {"fieldManager": "first", "dryRun": "All"}
        tried = served.cluster.request(
            "PATCH", f"{CONFIGS}/one", config("one", b="2"), query=query, content_type=APPLY
        )
        assert tried.body["data"] == {"b": "2"}
        assert self.apply(served, "first", c="3").body["data"] == {"c": "3"}


class TestPatching:
    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "replace", "path": "/data/absent", "value": "x"},
            {"op": "remove", "path": "/data/absent"},
            {"op": "add", "path": "/metadata/ownerReferences/1", "value": {}},
            {"op": "remove", "path": "/metadata/ownerReferences/-1"},
        ],
        ids=["replace nothing", "remove nothing", "beyond the end", "from the end"],
    )
    def test_by_invalid_operations_changes_nothing(self, served: Served, operation: dict[str, Any]) -> None:
        owned = config("one", a="1")
        owned["metadata"]["ownerReferences"] = []
        served.cluster.apply([owned])
        before = served.cluster.request("GET", f"{CONFIGS}/one").body
        operations: Any = [{"op": "add", "path": "/data/b", "value": "2"}, operation]
        answer = served.cluster.request("PATCH", f"{CONFIGS}/one", operations, content_type=JSON_PATCH)
        assert (answer.status, answer.body["reason"]) == (422, "Invalid")
        assert served.cluster.request("GET", f"{CONFIGS}/one").body == before

    def test_with_a_strategic_merge_patch_is_refused(self, served: Served) -> None:
        served.cluster.apply([config("one", a="1")])
        kind = "application/strategic-merge-patch+json"
        answer = served.cluster.request("PATCH", f"{CONFIGS}/one", {}, content_type=kind)
        assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")


class TestMetadata:
    def test_of_a_cluster_scoped_object_has_no_namespace(self, served: Served) -> None:
        role = thing("rbac.authorization.k8s.io/v1", "ClusterRole", "reads", rules=[])
        path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
        assert "namespace" not in served.cluster.request("POST", path, role).body["metadata"]
        assert served.cluster.request("GET", f"{path}/reads").status == 200

    def test_of_a_new_object_cannot_mark_it_as_terminating(self, served: Served) -> None:
        dying = config("one", a="1")
        dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        assert "deletionTimestamp" not in served.cluster.request("POST", CONFIGS, dying).body["metadata"]

    def test_of_a_namespace_keeps_its_name_as_a_label(self, served: Served) -> None:
        path = "/api/v1/namespaces/shop"
        assert served.cluster.request("PUT", path, namespace("shop", colour="red")).status == 200
        after = served.cluster.request("GET", path).body
        assert after["metadata"]["labels"] == {"colour": "red", "kubernetes.io/metadata.name": "shop"}
        assert after["status"] == {"phase": "Active"}


class TestStatuses:
    def crd(self, **subresources: Any) -> dict[str, Any]:
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        names = {"plural": "teas", "kind": "Tea"}
        spec = {"group": "example.org", "scope": "Namespaced", "names": names}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "teas.example.org"},
            "spec": {**spec, "versions": [{**version, "subresources": subresources}]},
        }

    def test_are_written_separately_as_subresources(self, served: Served) -> None:
        served.cluster.apply([self.crd(status={}), thing("example.org/v1", "Tea", "one", status={"hot": 1})])
        path = "/apis/example.org/v1/namespaces/shop/teas/one"
        status, spec = {"status": {"hot": 2}}, {"spec": {"leaf": 1}, "status": {"hot": 3}}
        served.cluster.request("PATCH", f"{path}/status", {**status, "spec": {}}, content_type=MERGE)
        served.cluster.request("PATCH", path, spec, content_type=MERGE)
        after = served.cluster.request("GET", path).body
        assert (after["spec"], after["status"]) == ({"leaf": 1}, {"hot": 2})
        assert after["metadata"]["generation"] == 2

    def test_are_ordinary_fields_without_a_subresource(self, served: Served) -> None:
        served.cluster.apply([self.crd(), thing("example.org/v1", "Tea", "one", status={"hot": 1})])
        path = "/apis/example.org/v1/namespaces/shop/teas/one"
        served.cluster.request("PATCH", path, {"status": {"hot": 2}}, content_type=MERGE)
        assert served.cluster.request("GET", path).body["status"] == {"hot": 2}
        answer = served.cluster.request("PATCH", f"{path}/status", {"status": {}}, content_type=MERGE)
        assert answer.status == 404

    def test_of_deployments_are_written_by_the_controller(self, served: Served) -> None:
        boasting = {**deployment("web"), "status": {"readyReplicas": 99}}
        served.node.unready.add("web")
        served.cluster.apply([boasting])
        served.has(PODS, lambda body: body["items"])
        path = "/apis/apps/v1/namespaces/shop/deployments/web"
        assert served.cluster.request("GET", path).body["status"].get("readyReplicas") != 99


class TestNames:
    """Rights to an object give no rights to others."""

    @pytest.fixture(autouse=True)
    def reader(self, served: Served) -> Account:
        rules = [
            {
                "apiGroups": [""],
                "resources": ["configmaps"],
                "resourceNames": ["own"],
                "verbs": ["get", "list", "watch", "create", "deletecollection"],
            }
        ]
        api_version = "rbac.authorization.k8s.io/v1"
        subject = {"kind": "ServiceAccount", "namespace": "shop", "name": "reader"}
        served.cluster.apply(
            [
                thing("v1", "ServiceAccount", "reader"),
                thing(api_version, "Role", "own", rules=rules),
                thing(
                    api_version, "RoleBinding", "own", subjects=[subject],
                    roleRef={"kind": "Role", "name": "own", "apiGroup": "rbac.authorization.k8s.io"},
                ),
                config("own", a="1"),
                config("other", secret="1"),
            ]
        )  # fmt: skip
        return Account("shop", "reader")

    def test_a_watch_by_name_shows_only_that_object(self, served: Served, reader: Account) -> None:
        query = {"watch": "1", "timeoutSeconds": "1"}
        answer = served.cluster.request("GET", f"{CONFIGS}/own", query=query, account=reader)
        assert answer.body["object"]["metadata"]["name"] == "own"
        assert served.cluster.request("GET", CONFIGS, query=query, account=reader).status == 403

    def test_a_list_by_name_shows_only_that_object(self, served: Served, reader: Account) -> None:
        query = {"fieldSelector": "metadata.name=own"}
        answer = served.cluster.request("GET", CONFIGS, query=query, account=reader)
        assert (answer.status, names(answer.body)) == (200, ["own"])

    def test_a_selector_gives_no_right_to_create(self, served: Served, reader: Account) -> None:
        query = {"fieldSelector": "metadata.name=own"}
        body = config("mine", a="1")
        assert served.cluster.request("POST", CONFIGS, body, query=query, account=reader).status == 403


class TestDiscovery:
    def test_by_the_official_client_finds_resources_and_their_subresources(
        self, served: Served, tmp_path: Path
    ) -> None:
        with served.cluster.api_client() as client:
            dynamic = DynamicClient(client, cache_file=str(tmp_path / "discovery.json"))
            for api_version, kind, plural in (
                ("v1", "Pod", "pods"),
                ("apps/v1", "Deployment", "deployments"),
                ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles"),
            ):
                assert dynamic.resources.get(api_version=api_version, kind=kind).name == plural
            assert dynamic.version["kubernetes"]["gitVersion"].endswith("-embedded")

    def test_lists_core_versions_and_groups(self, served: Served) -> None:
        assert served.cluster.request("GET", "/api").body["versions"] == ["v1"]
        groups = served.cluster.request("GET", "/apis").body["groups"]
        apps = next(one for one in groups if one["name"] == "apps")
        assert apps["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
        assert served.cluster.request("GET", "/apis/apps").body == apps


def test_logs_with_unsupported_options_are_refused(served: Served) -> None:
    served.cluster.apply([pod("one")])
    answer = served.cluster.request("GET", f"{PODS}/one/log", query={"follow": "true"})
    assert (answer.status, "follow" in answer.body["message"]) == (501, True)
    assert served.cluster.request("GET", f"{PODS}/one/log", query={"follow": "false"}).status == 200

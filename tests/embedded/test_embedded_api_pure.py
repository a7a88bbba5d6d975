"""The parts of the embedded cluster's API server that need no server."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.clusters.embedded.api import api_resources, request_path, warning_events
from conformance.clusters.embedded.api.api_errors import StatusError
from conformance.clusters.embedded.api.auth import AUDIENCE, RBAC, Attributes, Tokens, User, allowed
from conformance.clusters.embedded.api.object_store import Store, WatchEvent
from conformance.clusters.embedded.api.patching import POD_LISTS, apply, json_patch, merge
from conformance.clusters.embedded.api.structural_schema import Invalid, admitter, undeclared_field


def thing(name: str, namespace: str = "shop", **rest: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name}, **rest}


class TestTheStore:
    def test_gives_every_change_a_version_and_only_a_new_spec_a_generation(self) -> None:
        store = Store()
        made = store.create("things", thing("a", spec={"n": 1}))
        told = store.replace("things", {**made, "status": {"ready": True}})
        changed = store.replace("things", {**told, "spec": {"n": 2}})
        versions = [int(one["metadata"]["resourceVersion"]) for one in (made, told, changed)]
        assert versions == sorted(set(versions))
        assert [one["metadata"]["generation"] for one in (made, told, changed)] == [1, 1, 2]
        assert len({one["metadata"]["uid"] for one in (made, told, changed)}) == 1

    def test_reports_changes_in_order_and_since_any_version(self) -> None:
        store, seen = Store(), list[WatchEvent]()
        unsubscribe = store.subscribe(seen.append)
        made = store.create("things", thing("a"))
        store.create("others", thing("b"))
        store.replace("things", {**made, "data": 1})
        store.remove("things", "shop", "a")
        assert [(one.type, one.key) for one in seen] == [
            ("ADDED", "things"), ("ADDED", "others"), ("MODIFIED", "things"), ("DELETED", "things"),
        ]  # fmt: skip
        since = store.events_since("things", int(made["metadata"]["resourceVersion"]))
        assert [one.type for one in since] == ["MODIFIED", "DELETED"]
        unsubscribe()
        store.create("things", thing("c"))
        assert len(seen) == 4

    def test_does_not_report_an_update_without_a_change(self) -> None:
        store = Store()
        made = store.create("things", thing("a", spec={}))
        assert store.replace("things", dict(made)) == made
        assert store.events_since("things", int(made["metadata"]["resourceVersion"])) == ()

    def test_refuses_versions_beyond_its_history(self) -> None:
        store = Store()
        made = store.create("things", thing("a"))
        for number in range(20_001):
            store.replace("things", {**thing("a"), "data": number})
        with pytest.raises(StatusError, match="too old resource version") as caught:
            store.events_since("things", int(made["metadata"]["resourceVersion"]))
        assert caught.value.status == 410

    def test_lets_no_update_undo_a_deletion_or_change_a_uid(self) -> None:
        store = Store()
        made = store.create("things", thing("a"))
        dying = store.replace(
            "things", {**made, "metadata": {**made["metadata"], "deletionTimestamp": "now"}}
        )
        forged = {"name": "a", "namespace": "shop", "uid": "mine"}
        after = store.replace("things", {"metadata": forged, "data": 1})
        assert after["metadata"]["uid"] == made["metadata"]["uid"]
        assert after["metadata"]["deletionTimestamp"] == dying["metadata"]["deletionTimestamp"]


class TestPatches:
    def test_merge_objects_and_remove_by_null(self) -> None:
        assert merge({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"b": None, "d": 3}, "l": [2]}) == {
            "a": {"c": 2, "d": 3},
            "l": [2],
        }

    def test_of_json_add_replace_and_remove(self) -> None:
        document = {"a": [1, 2], "b/c": {"x": 1}}
        operations = [
            {"op": "add", "path": "/a/1", "value": 9},
            {"op": "add", "path": "/a/-", "value": 3},
            {"op": "remove", "path": "/b~1c/x"},
            {"op": "replace", "path": "/a/0", "value": 0},
        ]
        assert json_patch(document, operations) == {"a": [0, 9, 2, 3], "b/c": {}}
        assert document == {"a": [1, 2], "b/c": {"x": 1}}

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "remove", "path": "/absent"},
            {"op": "add", "path": "/a/b/c", "value": 1},
            {"op": "move", "path": "/a"},
        ],
        ids=["nothing to remove", "nowhere to add", "unknown operation"],
    )
    def test_of_json_that_do_not_apply_are_refused(self, operation: dict[str, Any]) -> None:
        with pytest.raises(StatusError) as caught:
            json_patch({"a": 1}, [operation])
        assert caught.value.status == 422

    def test_of_a_manager_remove_only_its_own_fields(self) -> None:
        current = {"spec": {"mine": 1, "theirs": 2, "nested": {"mine": 1, "theirs": 2}}}
        before = {"spec": {"mine": 1, "nested": {"mine": 1}}}
        assert apply(current, before, {"spec": {"new": 3}}) == {
            "spec": {"theirs": 2, "nested": {"theirs": 2}, "new": 3}
        }

    def test_of_a_manager_replace_lists_except_those_merged_by_key(self) -> None:
        current = {
            "containers": [{"name": "a", "image": "x", "default": 1}, {"name": "injected"}],
            "other": [1],
        }
        before = {"containers": [{"name": "a", "image": "x"}], "other": [1]}
        after = {"containers": [{"name": "b"}, {"name": "a", "image": "y"}], "other": [2]}
        assert apply(current, before, after, POD_LISTS) == {
            "containers": [{"name": "a", "image": "y", "default": 1}, {"name": "injected"}, {"name": "b"}],
            "other": [2],
        }
        gone = apply(current, before, {"containers": [{"name": "b"}]}, POD_LISTS)
        assert [one["name"] for one in gone["containers"]] == ["injected", "b"]
        assert apply(current, before, after)["containers"] == after["containers"]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "size": {"type": "integer", "default": 3, "maximum": 9},
                "port": {"x-kubernetes-int-or-string": True},
                "maybe": {"type": "string", "nullable": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "map": {"type": "object", "additionalProperties": {"type": "string"}},
                "list": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"a": {"enum": ["x"]}}},
                },
            },
        }
    },
}


class TestSchemas:
    def admitted(self, spec: Any) -> Any:
        whole = {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n", "labels": {}}, "spec": spec}
        return admitter(SCHEMA)(whole)["spec"]

    def test_prune_undeclared_fields_and_fill_in_defaults(self) -> None:
        spec = {"name": "n", "odd": 1, "free": {"odd": 1}, "map": {"k": "v"}, "list": [{"a": "x", "b": 1}]}
        assert self.admitted(spec) == {
            "name": "n", "size": 3, "free": {"odd": 1}, "map": {"k": "v"}, "list": [{"a": "x"}],
        }  # fmt: skip

    def test_take_a_port_by_number_or_name_and_null_where_they_say_so(self) -> None:
        for port in (80, "http"):
            assert self.admitted({"name": "n", "port": port, "maybe": None})["port"] == port

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ({}, "spec.name: Required value"),
            (
                {"name": 1},
                'spec.name: Invalid value: "integer": spec.name in body must be of type string: "integer"',
            ),
            (
                {"name": None},
                'spec.name: Invalid value: "null": spec.name in body must be of type string: "null"',
            ),
            (
                {"name": "n", "list": [{"a": "y"}]},
                'spec.list[0].a: Unsupported value: "y": supported values: "x"',
            ),
            ({"name": "n", "size": 10}, "spec.size: Invalid value: 10: 10 is greater than the maximum of 9"),
            ({"name": "n", "port": 1.5}, "spec.port in body must be of type integer or string"),
        ],
        ids=["missing", "type", "null", "enum", "maximum", "neither"],
    )
    def test_report_a_problem(self, spec: Any, message: str) -> None:
        with pytest.raises(Invalid) as caught:
            self.admitted(spec)
        assert message in str(caught.value)

    def test_report_all_problems(self) -> None:
        with pytest.raises(Invalid, match=r"^\[spec\.name: Required value, spec\.size: .*\]$"):
            self.admitted({"size": 10})


RULE: dict[str, Any] = {"apiGroups": ["g"], "resources": ["pods", "pods/edges"], "verbs": ["get"]}
ACCOUNT = User("system:serviceaccount:shop:a", ("system:authenticated",))


class TestRoles:
    def store(self, rule: dict[str, Any], *, cluster: bool = False, binding: str = "rolebindings") -> Store:
        store = Store()
        kind, namespace = ("ClusterRole", "") if cluster else ("Role", "shop")
        role = {"metadata": {"name": "r", "namespace": namespace}, "rules": [rule]}
        store.create(f"{kind.lower()}s.{RBAC}", role)
        store.create(
            f"{binding}.{RBAC}",
            {
                "metadata": {"name": "b", "namespace": "shop" if binding == "rolebindings" else ""},
                "roleRef": {"kind": kind, "name": "r"},
                "subjects": [{"kind": "ServiceAccount", "namespace": "shop", "name": "a"}],
            },
        )
        return store

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (Attributes("get", "g", "pods", "", "shop", "x"), True),
            (Attributes("get", "g", "pods", "edges", "shop", "x"), True),
            (Attributes("list", "g", "pods", "", "shop"), False),
            (Attributes("get", "", "pods", "", "shop", "x"), False),
            (Attributes("get", "g", "pods", "log", "shop", "x"), False),
            (Attributes("get", "g", "pods", "", "other", "x"), False),
            (Attributes("get", "g", "pods"), False),
        ],
        ids=str,
    )
    def test_grant_what_they_say_in_their_namespace(self, wanted: Attributes, expected: bool) -> None:
        assert allowed(self.store(RULE), ACCOUNT, wanted) is expected
        assert not allowed(self.store(RULE), User("somebody"), wanted)

    def test_of_a_namespace_do_not_reach_subresources_they_do_not_name(self) -> None:
        store = self.store({**RULE, "resources": ["pods"]})
        assert not allowed(store, ACCOUNT, Attributes("get", "g", "pods", "edges", "shop", "x"))

    def test_of_the_cluster_reach_as_far_as_their_binding(self) -> None:
        near = self.store(RULE, cluster=True)
        far = self.store(RULE, cluster=True, binding="clusterrolebindings")
        elsewhere = Attributes("get", "g", "pods", "", "other", "x")
        assert (allowed(near, ACCOUNT, elsewhere), allowed(far, ACCOUNT, elsewhere)) == (
            False,
            True,
        )

    def test_can_be_limited_to_names(self) -> None:
        store = self.store({**RULE, "resourceNames": ["x"]})
        for name, expected in (("x", True), ("y", False), ("", False)):
            assert allowed(store, ACCOUNT, Attributes("get", "g", "pods", "", "shop", name)) is expected

    def test_can_be_given_to_groups(self) -> None:
        store = self.store(RULE)
        binding = store.get(f"rolebindings.{RBAC}", "shop", "b")
        store.replace(f"rolebindings.{RBAC}", {**binding, "subjects": [{"kind": "Group", "name": "readers"}]})
        wanted = Attributes("get", "g", "pods", "", "shop", "x")
        assert allowed(store, User("u", ("readers",)), wanted)
        assert not allowed(store, ACCOUNT, wanted)


class TestTokens:
    def test_are_valid_for_their_lifetime_and_their_audience(self) -> None:
        moment = [0.0]
        store = Store()
        account = store.create("serviceaccounts", thing("a"))
        tokens = Tokens("admin", store, lambda: moment[0])
        own, others = tokens.issue(account, [], 10), tokens.issue(account, ["mesh"], 10)
        assert tokens.user(own) is not None
        assert tokens.user(others) is None
        assert tokens.review(own, []) == (tokens.user(own), [AUDIENCE])
        moment[0] = 10.1
        assert tokens.user(own) is None

    def test_of_the_administrator_open_everything(self) -> None:
        user = Tokens("admin", Store()).user("admin")
        assert user is not None
        assert allowed(Store(), user, Attributes("delete", "", "nodes"))


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/api/v1/namespaces/shop", request_path.RequestTarget("", "v1", "namespaces", "", "shop")),
            (
                "/api/v1/namespaces/shop/status",
                request_path.RequestTarget("", "v1", "namespaces", "", "shop", "status"),
            ),
            ("/api/v1/pods", request_path.RequestTarget("", "v1", "pods")),
            (
                "/apis/apps/v1/namespaces/a/deployments/b",
                request_path.RequestTarget("apps", "v1", "deployments", "a", "b"),
            ),
            (
                "/api/v1/namespaces/a/services/https:s:p/proxy/x/y",
                request_path.RequestTarget("", "v1", "services", "a", "https:s:p", "proxy", "x/y"),
            ),
            ("/apis/apps/v1", request_path.RequestTarget("apps", "v1")),
            ("/version", None),
        ],
        ids=str,
    )
    def test_name_the_target_of_a_request(
        self, path: str, expected: request_path.RequestTarget | None
    ) -> None:
        assert request_path.parse(path) == expected

    def test_and_methods_make_verbs(self) -> None:
        pods = request_path.RequestTarget("", "v1", "pods", "shop")
        assert pods.attributes("GET", {}).verb == "list"
        assert pods.attributes("GET", {"watch": "true"}).verb == "watch"
        assert pods.attributes("DELETE", {}).verb == "deletecollection"
        named = pods.attributes("GET", {"fieldSelector": "metadata.name=a"})
        assert (named.verb, named.name) == ("list", "a")


def test_discovery_lists_versions_by_maturity_and_subresources_after_their_resource() -> None:
    found = api_resources.groups(api_resources.BUILT_IN, [("x", "v1alpha1"), ("x", "v1"), ("x", "v1alpha3")])
    assert found["x"] == ["v1", "v1alpha3", "v1alpha1"]
    pods = [one for one in api_resources.BUILT_IN if one.key == "pods"]
    listed = api_resources.resource_list("v1", pods)["resources"]
    assert [one["name"] for one in listed] == ["pods", "pods/status", "pods/log", "pods/exec"]


def test_a_waiting_reason_is_reported_once() -> None:
    def status(message: str) -> dict[str, Any]:
        waiting = {"waiting": {"reason": "ErrImagePull", "message": message}}
        return {"containerStatuses": [{"name": "main", "state": waiting}]}

    assert list(warning_events.new_waiting_reasons({}, status("no"))) == [("ErrImagePull", "main: no")]
    assert list(warning_events.new_waiting_reasons(status("no"), status("no"))) == []
    assert list(warning_events.new_waiting_reasons(status("no"), status("never"))) == [
        ("ErrImagePull", "main: never")
    ]


def test_an_undeclared_field_is_found_at_any_depth() -> None:
    weight = {"type": "object", "properties": {"weight": {"type": "integer"}}}
    spec = {
        "type": "object",
        "properties": {
            "backends": {"type": "array", "items": weight},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    schema = {"type": "object", "properties": {"spec": spec}}
    known = {"backends": [{"weight": 1}], "labels": {"any": "x"}, "free": {"any": 1}}
    thing = {"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x", "labels": {"a": "b"}}}
    assert undeclared_field({**thing, "spec": known}, schema) == ""
    assert undeclared_field({**thing, "spec": {**known, "matches": []}}, schema) == ".spec.matches"
    twice = {"backends": [{"weight": 1}, {"wait": 1}]}
    assert undeclared_field({**thing, "spec": twice}, schema) == ".spec.backends[1].wait"

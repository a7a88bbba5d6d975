"""The embedded cluster's API server, by the same client as every other cluster."""

from __future__ import annotations

from typing import Any

import pytest
from api_objects import DEPLOYMENTS, PODS, config, deployment, is_ready, names, namespace, pod, service, thing
from fake_node import Served

from conformance.clusters import Account, ApiStatusError, ClusterError, ExecFailed

MERGE = "application/merge-patch+json"


class TestObjects:
    def test_are_created_by_applying_them_and_change_when_they_are_applied_again(
        self, served: Served
    ) -> None:
        path = "/api/v1/namespaces/shop/configmaps/one"
        served.cluster.apply([config("one", a="1", b="2")])
        first = served.cluster.request("GET", path).body
        served.cluster.apply([config("one", a="1", c="3")])
        second = served.cluster.request("GET", path).body
        assert second["data"] == {"a": "1", "c": "3"}
        assert second["metadata"]["uid"] == first["metadata"]["uid"]
        assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])

    def test_keep_the_fields_of_others_when_they_are_applied_again(self, served: Served) -> None:
        path = "/api/v1/namespaces/shop/configmaps/one"
        served.cluster.apply([config("one", a="1")])
        served.cluster.request(
            "PATCH", path, {"metadata": {"annotations": {"by": "others"}}}, content_type=MERGE
        )
        served.cluster.apply([config("one", b="2")])
        after = served.cluster.request("GET", path).body
        assert after["data"] == {"b": "2"}
        assert after["metadata"]["annotations"] == {"by": "others"}

    def test_that_are_applied_unchanged_do_not_change(self, served: Served) -> None:
        served.cluster.apply([config("one", a="1")])
        before = served.cluster.request("GET", "/api/v1/namespaces/shop/configmaps/one").body
        served.cluster.apply([config("one", a="1")])
        assert served.cluster.request("GET", "/api/v1/namespaces/shop/configmaps/one").body == before

    def test_are_not_replaced_by_a_stale_version(self, served: Served) -> None:
        path = "/api/v1/namespaces/shop/configmaps/one"
        served.cluster.apply([config("one", a="1")])
        stale = served.cluster.request("GET", path).body
        served.cluster.apply([config("one", a="2")])
        answer = served.cluster.request("PUT", path, {**stale, "data": {"a": "3"}})
        assert (answer.status, answer.body["reason"]) == (409, "Conflict")

    def test_with_a_name_prefix_get_unique_names(self, served: Served) -> None:
        event = {"metadata": {"generateName": "e."}, "involvedObject": {"name": "x"}, "type": "Warning"}
        for _ in range(2):
            assert served.cluster.request("POST", "/api/v1/namespaces/shop/events", event).status == 201
        listed = served.cluster.list("v1", "Event", "shop")
        assert len({one["metadata"]["name"] for one in listed}) == 2

    def test_of_a_dry_run_are_not_stored(self, served: Served) -> None:
        path = "/api/v1/namespaces/shop/configmaps"
        answer = served.cluster.request("POST", path, config("one", a="1"), query={"dryRun": "All"})
        assert (answer.status, answer.body["data"]) == (201, {"a": "1"})
        assert served.cluster.request("GET", f"{path}/one").status == 404

    def test_are_listed_by_labels_and_fields(self, served: Served) -> None:
        served.cluster.apply([pod("a"), pod("b"), pod("c")])
        listed = served.cluster.list("v1", "Pod", "shop", labels="app in (a,b)")
        assert [one["metadata"]["name"] for one in listed] == ["a", "b"]
        by_name = served.cluster.request("GET", PODS, query={"fieldSelector": "metadata.name!=b"})
        assert names(by_name.body) == ["a", "c"]
        served.has(f"{PODS}/c", is_ready)
        running = served.cluster.request("GET", PODS, query={"fieldSelector": "status.phase=Running"})
        assert "c" in names(running.body)

    def test_that_exist_are_not_created_again(self, served: Served) -> None:
        answer = served.cluster.request("POST", "/api/v1/namespaces", namespace("shop"))
        assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")

    def test_of_a_missing_namespace_are_refused(self, served: Served) -> None:
        lost = config("one", a="1")
        lost["metadata"]["namespace"] = "nowhere"
        with pytest.raises(ApiStatusError, match='namespaces "nowhere" not found'):
            served.cluster.apply([lost])


class TestNamespaces:
    def test_come_with_an_account_and_the_authority_of_the_server(self, served: Served) -> None:
        assert served.cluster.request("GET", "/api/v1/namespaces/shop/serviceaccounts/default").status == 200
        shop = served.cluster.request("GET", "/api/v1/namespaces/shop").body
        assert shop["metadata"]["labels"]["kubernetes.io/metadata.name"] == "shop"
        assert shop["status"]["phase"] == "Active"
        root = served.cluster.request("GET", "/api/v1/namespaces/shop/configmaps/kube-root-ca.crt").body
        assert "BEGIN CERTIFICATE" in root["data"]["ca.crt"]

    def test_end_with_all_their_objects_once_their_pods_have_ended(self, served: Served) -> None:
        port = {"port": 80}
        served.cluster.apply([pod("alone"), deployment("many", 2), service("many", port), config("c", a="1")])
        served.has(f"{DEPLOYMENTS}/many", lambda body: body.get("status", {}).get("readyReplicas") == 2)
        served.cluster.delete([namespace("shop")])
        served.has("/api/v1/namespaces/shop", lambda body: body.get("code") == 404)
        assert len(served.node.stopped) == 3
        assert not served.node.running
        for kind in ("Pod", "Service", "ConfigMap", "ServiceAccount"):
            assert not [
                one for one in served.cluster.list("v1", kind) if one["metadata"]["namespace"] == "shop"
            ]
        assert not served.cluster.list("apps/v1", "ReplicaSet")
        served.eventually(lambda: not served.cluster.list("discovery.k8s.io/v1", "EndpointSlice"))

    def test_accept_no_new_objects_while_they_terminate(self, served: Served) -> None:
        served.cluster.apply([pod("slow", terminationGracePeriodSeconds=7)])
        served.has(f"{PODS}/slow", is_ready)
        holding = served.node.running["shop", "slow"]

        class Deaf:
            """Does not end when it is told to."""

            def set(self) -> None:
                pass

        served.node.running["shop", "slow"] = Deaf()  # type: ignore[assignment]
        served.cluster.delete([namespace("shop")])
        assert served.cluster.request("GET", "/api/v1/namespaces/shop").body["status"]["phase"] == (
            "Terminating"
        )
        with pytest.raises(ApiStatusError, match="because it is being terminated"):
            served.cluster.apply([config("late", a="1")])
        served.loop.call_soon_threadsafe(holding.set)
        served.has("/api/v1/namespaces/shop", lambda body: body.get("code") == 404)
        assert served.node.stopped == [("shop", "slow", 7.0)]


class TestContainers:
    ECHO = ("python3", "-c", "import sys\nfor line in sys.stdin: print(line.upper(), flush=True)")

    def test_answer_line_by_line(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        for line in ("hello", "grüße"):
            answer = served.cluster.exec_line("shop", "one", "main", self.ECHO, line, 5)
            assert answer == f"{line.upper()}\n\n"

    def test_carry_more_than_a_single_message_holds(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        long = "x" * 300_000
        assert served.cluster.exec_line("shop", "one", "main", self.ECHO, long, 5) == f"{long.upper()}\n\n"

    def test_that_break_off_are_reported(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        failing = ("python3", "-c", "import sys; sys.exit('no more')")
        with pytest.raises(ExecFailed, match=r"exit status 1.* no more"):
            served.cluster.exec_line("shop", "one", "main", failing, "x", 5)

    def test_that_are_missing_run_nothing(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        for name, container in (("one", "other"), ("two", "main")):
            with pytest.raises(ExecFailed, match="404"):
                served.cluster.exec_line("shop", name, container, self.ECHO, "x", 5)

    def test_show_the_end_of_their_logs(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        said = served.cluster.logs("shop", "one", "main", tail=2)
        assert said == "shop/one/main says 3\nshop/one/main says 4\n"


class TestRights:
    def role(self, resource: str, *verbs: str) -> list[dict[str, Any]]:
        rules = [{"apiGroups": [""], "resources": [resource], "verbs": list(verbs)}]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"}
        subject = {"kind": "ServiceAccount", "namespace": "shop", "name": "reader"}
        api_version = "rbac.authorization.k8s.io/v1"
        return [
            thing("v1", "ServiceAccount", "reader"),
            thing(api_version, "Role", "reads", rules=rules),
            thing(api_version, "RoleBinding", "reads", roleRef=reference, subjects=[subject]),
        ]

    def test_of_an_account_are_those_of_its_roles(self, served: Served) -> None:
        served.cluster.apply([*self.role("configmaps", "get"), config("one", a="1")])
        account = Account("shop", "reader")
        path = "/api/v1/namespaces/shop/configmaps"
        assert served.cluster.request("GET", f"{path}/one", account=account).status == 200
        denied = served.cluster.request("GET", path, account=account)
        assert denied.status == 403
        who = 'User "system:serviceaccount:shop:reader"'
        assert f'{who} cannot list resource "configmaps"' in denied.body["message"]
        elsewhere = served.cluster.request("GET", "/api/v1/namespaces/default/configmaps/x", account=account)
        assert elsewhere.status == 403

    def test_end_with_the_account(self, served: Served) -> None:
        served.cluster.apply([*self.role("configmaps", "list")])
        account, path = Account("shop", "reader"), "/api/v1/namespaces/shop/configmaps"
        assert served.cluster.request("GET", path, account=account).status == 200
        # Not by the client's own delete, which drops the cached token of a deleted account.
        assert (
            served.cluster.request("DELETE", "/api/v1/namespaces/shop/serviceaccounts/reader").status == 200
        )
        assert served.cluster.request("GET", path, account=account).status == 401

    def test_can_be_reviewed_by_every_user(self, served: Served) -> None:
        served.cluster.apply(self.role("pods", "list"))
        body = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "shop"}}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = served.cluster.request("POST", path, body, account=Account("shop", "reader"))
        assert (answer.status, answer.body["status"]["allowed"]) == (201, True)

    def test_are_needed_for_everything(self, served: Served) -> None:
        stranger = type(served.cluster).at(served.url, "of a stranger", "embedded")
        assert stranger.request("GET", "/api/v1/namespaces").status == 401
        stranger.close()

    def test_come_with_a_token_that_names_the_pod_while_it_exists(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        there = served.cluster.request("GET", f"{PODS}/one").body
        sources = served.node.sources
        assert sources is not None
        token = sources.token(there, "mesh", 60)

        def review(audience: str) -> Any:
            spec = {"token": token, "audiences": [audience]}
            path = "/apis/authentication.k8s.io/v1/tokenreviews"
            return served.cluster.request("POST", path, {"spec": spec}).body["status"]

        status = review("mesh")
        assert (status["authenticated"], status["audiences"]) == (True, ["mesh"])
        assert status["user"]["username"] == "system:serviceaccount:shop:default"
        assert status["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["one"]
        assert not review("others")["authenticated"]
        served.cluster.delete([pod("one")])
        served.has(f"{PODS}/one", lambda body: body.get("code") == 404)
        assert not review("mesh")["authenticated"]


SELECTOR = {"matchLabels": {"a": "b"}}
INCOMPLETE: dict[str, tuple[str, dict[str, Any], str]] = {
    "no template": (DEPLOYMENTS, {"spec": {"selector": SELECTOR}}, "spec.template: Required value"),
    "another selector": (DEPLOYMENTS, deployment("x", selector=SELECTOR), "`selector` does not match"),
    "no group": ("/apis/apiregistration.k8s.io/v1/apiservices", {"spec": {}}, "spec.group: Required value"),
    "half a subject": (
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {"roleRef": {"kind": "ClusterRole", "name": "x"}, "subjects": [{"name": "y"}]},
        "subjects[0].kind: Required value",
    ),
    "nothing stored": (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        {
            "spec": {
                "group": "g",
                "scope": "Namespaced",
                "names": {"plural": "p", "kind": "P"},
                "versions": [{"name": "v1", "served": True, "storage": False}],
            }
        },
        '[metadata.name: Invalid value: "x": must be p.g, spec.versions: Invalid value: must have exactly',
    ),
    "nobody to ask": (
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        {"webhooks": [{"name": "w", "clientConfig": {"url": "https://elsewhere"}}]},
        "webhooks[0].clientConfig.service: Required value",
    ),
}
"""Path and body of a request, and the missing fields."""


class TestRefusals:
    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("GET", "/nowhere", None, 404),
            ("GET", "/apis/nowhere/v1/things", None, 404),
            ("GET", "/api/v1/namespaces/shop/endpoints", None, 404),
            ("POST", f"{PODS}/one", {}, 405),
            ("POST", PODS, {"metadata": {"name": "one"}}, 422),
            ("POST", PODS, [], 400),
            ("POST", PODS, {"metadata": {"name": "One"}, "spec": {"containers": []}}, 422),
            ("DELETE", "/api/v1/namespaces/shop?propagationPolicy=Orphan", None, 501),
            ("POST", "/api/v1/namespaces", {"kind": "Pod", "metadata": {"name": "x"}}, 400),
            ("GET", f"{PODS}?labelSelector=a%20b", None, 400),
            ("GET", f"{PODS}?watch=1&resourceVersion=x", None, 400),
            ("POST", "/api/v1/namespaces/shop/pods/one/portforward", None, 501),
            ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", None, 400),
        ],
    )
    def test_are_statuses_that_name_the_problem(
        self, served: Served, method: str, path: str, body: Any, status: int
    ) -> None:
        answer = served.cluster.request(method, path, body)
        assert answer.status == status
        assert answer.body["kind"] == "Status"
        assert answer.body["message"]

    @pytest.mark.parametrize(("path", "body", "problem"), INCOMPLETE.values(), ids=INCOMPLETE)
    def test_of_objects_without_required_fields_name_these(
        self, served: Served, path: str, body: dict[str, Any], problem: str
    ) -> None:
        answer = served.cluster.request("POST", path, {**body, "metadata": {"name": "x"}})
        assert (answer.status, answer.body["reason"]) == (422, "Invalid")
        assert problem in answer.body["message"]
        assert served.cluster.request("GET", path).body["items"] == []

    def test_of_kinds_that_are_not_served_name_them(self, served: Served) -> None:
        with pytest.raises(ClusterError, match=r"networking\.k8s\.io/v1 without the kind IngressClass"):
            served.cluster.path("networking.k8s.io/v1", "IngressClass")
        with pytest.raises(ClusterError, match=r"does not serve policy/v1"):
            served.cluster.path("policy/v1", "PodDisruptionBudget")

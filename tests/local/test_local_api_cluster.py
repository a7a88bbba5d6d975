"""The embedded cluster's API server, by the same client as every other cluster."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from fake_node import Served, serving

from conformance.clusters import Account, ClusterError, ExecFailed, Refused

PODS = "/api/v1/namespaces/shop/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
MERGE = "application/merge-patch+json"


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def thing(api_version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"namespace": "shop", "name": name}, **rest}


def config(name: str, **data: str) -> dict[str, Any]:
    return thing("v1", "ConfigMap", name, data=data)


def pod_spec(**more: Any) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}]
    return {"containers": [{"name": "main", "image": "python", "command": ["true"], "ports": ports}], **more}


def pod(name: str, **more: Any) -> dict[str, Any]:
    document = thing("v1", "Pod", name, spec=pod_spec(**more))
    document["metadata"]["labels"] = {"app": name}
    return document


def deployment(name: str, replicas: int = 1, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod_spec()}
    return thing("apps/v1", "Deployment", name, spec={
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec,
    })  # fmt: skip


def service(name: str, port: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return thing("v1", "Service", name, spec={"selector": {"app": name}, "ports": [port], **spec})


def is_ready(body: Any) -> bool:
    conditions = body.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def names(body: Any) -> list[str]:
    return [one["metadata"]["name"] for one in body["items"]]


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as made:
        made.cluster.apply([namespace("shop")])
        yield made


class TestObjects:
    def test_are_made_by_applying_them_and_change_when_they_are_applied_again(self, served: Served) -> None:
        path = "/api/v1/namespaces/shop/configmaps/one"
        served.cluster.apply([config("one", a="1", b="2")])
        first = served.cluster.request("GET", path).body
        served.cluster.apply([config("one", a="1", c="3")])
        second = served.cluster.request("GET", path).body
        assert second["data"] == {"a": "1", "c": "3"}
        assert second["metadata"]["uid"] == first["metadata"]["uid"]
        assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])

    def test_keep_what_others_wrote_when_they_are_applied_again(self, served: Served) -> None:
        path = "/api/v1/namespaces/shop/configmaps/one"
        served.cluster.apply([config("one", a="1")])
        served.cluster.request(
            "PATCH", path, {"metadata": {"annotations": {"by": "others"}}}, content_type=MERGE
        )
        served.cluster.apply([config("one", b="2")])
        after = served.cluster.request("GET", path).body
        assert after["data"] == {"b": "2"}
        assert after["metadata"]["annotations"] == {"by": "others"}

    def test_that_are_applied_as_they_are_do_not_change(self, served: Served) -> None:
        served.cluster.apply([config("one", a="1")])
        before = served.cluster.request("GET", "/api/v1/namespaces/shop/configmaps/one").body
        served.cluster.apply([config("one", a="1")])
        assert served.cluster.request("GET", "/api/v1/namespaces/shop/configmaps/one").body == before

    def test_are_not_replaced_by_who_did_not_see_the_latest(self, served: Served) -> None:
        path = "/api/v1/namespaces/shop/configmaps/one"
        served.cluster.apply([config("one", a="1")])
        stale = served.cluster.request("GET", path).body
        served.cluster.apply([config("one", a="2")])
        answer = served.cluster.request("PUT", path, {**stale, "data": {"a": "3"}})
        assert (answer.status, answer.body["reason"]) == (409, "Conflict")

    def test_with_a_prefix_for_a_name_get_one_each(self, served: Served) -> None:
        event = {"metadata": {"generateName": "e."}, "involvedObject": {"name": "x"}, "type": "Warning"}
        for _ in range(2):
            assert served.cluster.request("POST", "/api/v1/namespaces/shop/events", event).status == 201
        listed = served.cluster.list("v1", "Event", "shop")
        assert len({one["metadata"]["name"] for one in listed}) == 2

    def test_that_are_only_tried_leave_nothing_behind(self, served: Served) -> None:
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

    def test_that_are_there_already_are_not_made_again(self, served: Served) -> None:
        answer = served.cluster.request("POST", "/api/v1/namespaces", namespace("shop"))
        assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")

    def test_of_a_namespace_that_is_not_there_are_refused(self, served: Served) -> None:
        lost = config("one", a="1")
        lost["metadata"]["namespace"] = "nowhere"
        with pytest.raises(Refused, match='namespaces "nowhere" not found'):
            served.cluster.apply([lost])


class TestNamespaces:
    def test_come_with_an_account_and_the_authority_of_the_server(self, served: Served) -> None:
        assert served.cluster.request("GET", "/api/v1/namespaces/shop/serviceaccounts/default").status == 200
        shop = served.cluster.request("GET", "/api/v1/namespaces/shop").body
        assert shop["metadata"]["labels"]["kubernetes.io/metadata.name"] == "shop"
        assert shop["status"]["phase"] == "Active"
        root = served.cluster.request("GET", "/api/v1/namespaces/shop/configmaps/kube-root-ca.crt").body
        assert "BEGIN CERTIFICATE" in root["data"]["ca.crt"]

    def test_go_with_all_that_is_in_them_once_their_pods_have_ended(self, served: Served) -> None:
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

    def test_take_nothing_new_while_they_go(self, served: Served) -> None:
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
        with pytest.raises(Refused, match="because it is being terminated"):
            served.cluster.apply([config("late", a="1")])
        served.loop.call_soon_threadsafe(holding.set)
        served.has("/api/v1/namespaces/shop", lambda body: body.get("code") == 404)
        assert served.node.stopped == [("shop", "slow", 7.0)]


class TestPods:
    def test_get_what_they_leave_open(self, served: Served) -> None:
        served.cluster.apply([pod("plain")])
        spec = served.cluster.request("GET", f"{PODS}/plain").body["spec"]
        assert (spec["serviceAccountName"], spec["restartPolicy"]) == ("default", "Always")
        (container,) = spec["containers"]
        assert container["ports"][0]["protocol"] == "TCP"
        (mount,) = container["volumeMounts"]
        assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
        assert [one["name"] for one in spec["volumes"]] == [mount["name"]]

    def test_get_no_token_if_they_want_none(self, served: Served) -> None:
        served.cluster.apply([pod("plain", automountServiceAccountToken=False)])
        assert not served.cluster.request("GET", f"{PODS}/plain").body["spec"].get("volumes")

    def test_stay_as_they_are_when_they_are_applied_again_and_cannot_be_changed(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        before = served.has(f"{PODS}/one", lambda body: is_ready(body) and body)
        served.cluster.apply([pod("one")])
        assert served.cluster.request("GET", f"{PODS}/one").body == before
        with pytest.raises(Refused, match=r"spec: Forbidden") as caught:
            served.cluster.apply([pod("one", nodeName="elsewhere")])
        assert caught.value.status == 422

    def test_that_cannot_run_have_an_event_that_says_why(self, served: Served) -> None:
        served.node.waiting["one"] = ("ErrImagePull", "no such image")
        served.cluster.apply([pod("one")])
        (event,) = served.has("/api/v1/namespaces/shop/events", lambda body: body["items"])
        assert (event["type"], event["reason"]) == ("Warning", "ErrImagePull")
        assert event["message"] == "main: no such image"
        assert event["involvedObject"]["name"] == "one"

    def test_of_an_account_that_is_not_there_are_refused(self, served: Served) -> None:
        with pytest.raises(Refused, match='serviceaccount "nobody" not found') as caught:
            served.cluster.apply([pod("lost", serviceAccountName="nobody")])
        assert caught.value.status == 403

    def test_that_break_the_restricted_standard_are_refused_where_it_is_enforced(
        self, served: Served
    ) -> None:
        served.cluster.apply([namespace("shop", **{"pod-security.kubernetes.io/enforce": "restricted"})])
        with pytest.raises(Refused, match=r'violates PodSecurity "restricted:latest": .*runAsNonRoot'):
            served.cluster.apply([pod("root")])
        profile = {"type": "RuntimeDefault"}
        good = pod("good", securityContext={"runAsNonRoot": True, "seccompProfile": profile})
        (container,) = good["spec"]["containers"]
        container["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        served.cluster.apply([good])

    def test_are_gone_once_they_have_ended(self, served: Served) -> None:
        served.cluster.apply([pod("one", terminationGracePeriodSeconds=3)])
        served.has(f"{PODS}/one", is_ready)
        served.cluster.delete([pod("one")])
        served.has(f"{PODS}/one", lambda body: body.get("code") == 404)
        assert served.node.stopped == [("shop", "one", 3.0)]

    def test_read_configuration_and_secrets_as_files(self, served: Served) -> None:
        data = {"text": "a"}
        binary = {"binary": base64.b64encode(b"\0b").decode()}
        secret = thing("v1", "Secret", "hidden", stringData={"password": "p"})
        served.cluster.apply([{**config("files", **data), "binaryData": binary}, secret, pod("reader")])
        supplies = served.node.supplies
        assert supplies is not None
        assert supplies.config_map("shop", "files") == {"text": b"a", "binary": b"\0b"}
        assert supplies.secret("shop", "hidden") == {"password": b"p"}


class TestDeployments:
    def test_have_pods_that_belong_to_them_by_a_replica_set(self, served: Served) -> None:
        served.cluster.apply([deployment("web", 2)])
        status = served.has(
            f"{DEPLOYMENTS}/web",
            lambda body: body.get("status", {}).get("readyReplicas") == 2 and body["status"],
        )
        assert (status["replicas"], status["updatedReplicas"], status["observedGeneration"]) == (2, 2, 1)
        (replica_set,) = served.cluster.list("apps/v1", "ReplicaSet", "shop")
        assert replica_set["metadata"]["ownerReferences"][0]["name"] == "web"
        pods = served.cluster.list("v1", "Pod", "shop")
        owners = {one["metadata"]["ownerReferences"][0]["uid"] for one in pods}
        assert owners == {replica_set["metadata"]["uid"]}

    def test_follow_the_number_that_is_asked_for(self, served: Served) -> None:
        served.cluster.apply([deployment("web", 3)])
        served.has(PODS, lambda body: len(body["items"]) == 3)
        served.cluster.apply([deployment("web", 1)])
        served.has(PODS, lambda body: len(body["items"]) == 1)

    def test_replace_a_pod_that_is_deleted(self, served: Served) -> None:
        served.cluster.apply([deployment("web")])
        first = served.has(PODS, lambda body: names(body))
        served.cluster.delete(served.cluster.list("v1", "Pod", "shop"))
        served.has(PODS, lambda body: names(body) and names(body) != first and len(names(body)) == 1)

    def test_end_the_old_pods_first_where_they_are_to_be_recreated(self, served: Served) -> None:
        served.cluster.apply([deployment("web", strategy={"type": "Recreate"})])
        (old,) = served.has(PODS, lambda body: names(body))
        changed = deployment("web", strategy={"type": "Recreate"})
        changed["spec"]["template"]["metadata"]["annotations"] = {"version": "2"}
        served.cluster.apply([changed])
        (new,) = served.has(PODS, lambda body: old not in names(body) and names(body))
        assert new != old
        assert [name for _, name, _ in served.node.stopped] == [old]

    def test_keep_old_pods_until_new_ones_are_ready_otherwise(self, served: Served) -> None:
        served.cluster.apply([deployment("web")])
        (old,) = served.has(PODS, lambda body: names(body) and is_ready(body["items"][0]) and names(body))
        changed = deployment("web")
        changed["spec"]["template"]["metadata"]["annotations"] = {"version": "2"}
        served.node.unready.add("web")
        served.cluster.apply([changed])
        assert old in served.has(PODS, lambda body: len(names(body)) == 2 and names(body))
        assert not served.node.stopped

    def test_take_their_pods_with_them(self, served: Served) -> None:
        served.cluster.apply([deployment("web", 2)])
        served.has(PODS, lambda body: len(body["items"]) == 2)
        served.cluster.delete([deployment("web")])
        served.has(PODS, lambda body: not body["items"])
        assert not served.cluster.list("apps/v1", "ReplicaSet", "shop")

    def test_say_why_there_are_no_pods(self, served: Served) -> None:
        served.cluster.apply([namespace("shop", **{"pod-security.kubernetes.io/enforce": "restricted"})])
        served.cluster.apply([deployment("web")])
        events = served.has("/api/v1/namespaces/shop/events", lambda body: body["items"])
        assert (events[0]["type"], events[0]["reason"]) == ("Warning", "FailedCreate")
        assert "PodSecurity" in events[0]["message"]


class TestServices:
    def test_lead_to_the_ready_pods_by_address_and_by_name(self, served: Served) -> None:
        served.node.unready.add("late")
        served.cluster.apply([service("web", {"port": 80, "targetPort": "http"}), deployment("web", 2)])
        made = served.cluster.request("GET", "/api/v1/namespaces/shop/services/web").body
        address = made["spec"]["clusterIP"]
        assert address.startswith("10.96.")
        served.eventually(
            lambda: [len(one.backends) for one in served.node.services if one.address == address] == [2]
        )
        (rule,) = [one for one in served.node.services if one.address == address]
        assert (rule.protocol, rule.port, {backend.port for backend in rule.backends}) == ("TCP", 80, {8080})
        known = {(one.name, one.namespace) for one in served.node.names if one.address == address}
        assert known == {
            ("web", "shop"),
            ("web.shop", None),
            ("web.shop.svc", None),
            ("web.shop.svc.cluster.local", None),
        }

    def test_have_slices_that_tell_ready_pods_from_others(self, served: Served) -> None:
        served.node.unready.add("web")
        served.cluster.apply([service("web", {"name": "p", "port": 80, "targetPort": 9}), pod("web")])
        slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
        (item,) = served.has(slices, lambda body: body["items"])
        assert item["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
        assert [(one["name"], one["port"]) for one in item["ports"]] == [("p", 9)]
        (endpoint,) = item["endpoints"]
        assert (endpoint["conditions"]["ready"], endpoint["targetRef"]["name"]) == (False, "web")
        assert not [backend for rule in served.node.services if rule.port == 80 for backend in rule.backends]

    def test_without_an_address_resolve_to_pods(self, served: Served) -> None:
        served.cluster.apply([service("web", {"port": 80}, clusterIP="None"), pod("web")])
        address = served.has(f"{PODS}/web", lambda body: is_ready(body) and body["status"]["podIP"])
        served.eventually(lambda: ("web.shop", address) in [(o.name, o.address) for o in served.node.names])

    def test_keep_their_address_when_they_change(self, served: Served) -> None:
        path = "/api/v1/namespaces/shop/services/web"
        served.cluster.apply([service("web", {"port": 80})])
        before = served.cluster.request("GET", path).body["spec"]["clusterIP"]
        served.cluster.apply([service("web", {"port": 81})])
        after = served.cluster.request("GET", path).body["spec"]
        assert (after["clusterIP"], [one["port"] for one in after["ports"]]) == (before, [81])

    def test_lead_to_the_api_server_as_everywhere(self, served: Served) -> None:
        served.eventually(lambda: served.node.services)
        (rule,) = [one for one in served.node.services if one.address == "10.96.0.1"]
        assert (rule.port, [backend.ip for backend in rule.backends]) == (443, [served.node.address])


class TestContainers:
    ECHO = ("python3", "-c", "import sys\nfor line in sys.stdin: print(line.upper(), flush=True)")

    def test_answer_line_by_line(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        for line in ("hello", "grüße"):
            answer = served.cluster.ask("shop", "one", "main", self.ECHO, line, 5)
            assert answer == f"{line.upper()}\n\n"

    def test_carry_more_than_one_message_holds(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        long = "x" * 300_000
        assert served.cluster.ask("shop", "one", "main", self.ECHO, long, 5) == f"{long.upper()}\n\n"

    def test_that_break_off_say_so(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        failing = ("python3", "-c", "import sys; sys.exit('no more')")
        with pytest.raises(ExecFailed, match=r"exit status 1.* no more"):
            served.cluster.ask("shop", "one", "main", failing, "x", 5)

    def test_that_are_not_there_run_nothing(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        for name, container in (("one", "other"), ("two", "main")):
            with pytest.raises(ExecFailed, match="404"):
                served.cluster.ask("shop", name, container, self.ECHO, "x", 5)

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
        served.cluster.delete([thing("v1", "ServiceAccount", "reader")])
        assert served.cluster.request("GET", path, account=account).status == 401

    def test_may_be_asked_for_by_everybody(self, served: Served) -> None:
        served.cluster.apply(self.role("pods", "list"))
        body = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "shop"}}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = served.cluster.request("POST", path, body, account=Account("shop", "reader"))
        assert (answer.status, answer.body["status"]["allowed"]) == (201, True)

    def test_are_needed_for_everything(self, served: Served) -> None:
        stranger = type(served.cluster).at(served.url, "of a stranger", "embedded")
        assert stranger.request("GET", "/api/v1/namespaces").status == 401
        stranger.close()

    def test_come_with_a_token_that_names_the_pod_while_it_is_there(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        there = served.cluster.request("GET", f"{PODS}/one").body
        supplies = served.node.supplies
        assert supplies is not None
        token = supplies.token(there, "mesh", 60)

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
    def test_are_statuses_that_say_what_is_wrong(
        self, served: Served, method: str, path: str, body: Any, status: int
    ) -> None:
        answer = served.cluster.request(method, path, body)
        assert answer.status == status
        assert answer.body["kind"] == "Status"
        assert answer.body["message"]

    def test_of_kinds_that_are_not_served_name_them(self, served: Served) -> None:
        with pytest.raises(ClusterError, match=r"does not serve networking\.k8s\.io/v1"):
            served.cluster.path("networking.k8s.io/v1", "Ingress")

"""Pods, deployments and services in the embedded cluster, through the same client as any cluster."""

from __future__ import annotations

import base64

import pytest
from api_objects import DEPLOYMENTS, PODS, config, deployment, is_ready, names, namespace, pod, service, thing
from fake_node import Served

from conformance.clusters import ApiStatusError


class TestPods:
    def test_get_defaults(self, served: Served) -> None:
        served.cluster.apply([pod("plain")])
        spec = served.cluster.request("GET", f"{PODS}/plain").body["spec"]
        assert (spec["serviceAccountName"], spec["restartPolicy"]) == ("default", "Always")
        (container,) = spec["containers"]
        assert container["ports"][0]["protocol"] == "TCP"
        (mount,) = container["volumeMounts"]
        assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
        assert [one["name"] for one in spec["volumes"]] == [mount["name"]]

    def test_get_no_token_if_they_opt_out(self, served: Served) -> None:
        served.cluster.apply([pod("plain", automountServiceAccountToken=False)])
        assert not served.cluster.request("GET", f"{PODS}/plain").body["spec"].get("volumes")

    def test_stay_unchanged_when_they_are_applied_again_and_cannot_be_changed(self, served: Served) -> None:
        served.cluster.apply([pod("one")])
        before = served.has(f"{PODS}/one", lambda body: is_ready(body) and body)
        served.cluster.apply([pod("one")])
        assert served.cluster.request("GET", f"{PODS}/one").body == before
        with pytest.raises(ApiStatusError, match=r"spec: Forbidden") as caught:
            served.cluster.apply([pod("one", nodeName="elsewhere")])
        assert caught.value.status == 422

    def test_that_cannot_run_have_an_event_with_the_reason(self, served: Served) -> None:
        served.node.waiting["one"] = ("ErrImagePull", "no such image")
        served.cluster.apply([pod("one")])
        (event,) = served.has("/api/v1/namespaces/shop/events", lambda body: body["items"])
        assert (event["type"], event["reason"]) == ("Warning", "ErrImagePull")
        assert event["message"] == "main: no such image"
        assert event["involvedObject"]["name"] == "one"

    def test_of_a_missing_account_are_refused(self, served: Served) -> None:
        with pytest.raises(ApiStatusError, match='serviceaccount "nobody" not found') as caught:
            served.cluster.apply([pod("lost", serviceAccountName="nobody")])
        assert caught.value.status == 403

    def test_that_violate_the_restricted_standard_are_refused_if_it_is_enforced(self, served: Served) -> None:
        served.cluster.apply([namespace("shop", **{"pod-security.kubernetes.io/enforce": "restricted"})])
        with pytest.raises(ApiStatusError, match=r'violates PodSecurity "restricted:latest": .*runAsNonRoot'):
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
        sources = served.node.sources
        assert sources is not None
        assert sources.config_map("shop", "files") == {"text": b"a", "binary": b"\0b"}
        assert sources.secret("shop", "hidden") == {"password": b"p"}


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

    def test_follow_their_replicas(self, served: Served) -> None:
        served.cluster.apply([deployment("web", 3)])
        served.has(PODS, lambda body: len(body["items"]) == 3)
        served.cluster.apply([deployment("web", 1)])
        served.has(PODS, lambda body: len(body["items"]) == 1)

    def test_replace_a_pod_that_is_deleted(self, served: Served) -> None:
        served.cluster.apply([deployment("web")])
        first = served.has(PODS, lambda body: names(body))
        served.cluster.delete(served.cluster.list("v1", "Pod", "shop"))
        served.has(PODS, lambda body: names(body) and names(body) != first and len(names(body)) == 1)

    def test_end_the_old_pods_first_with_strategy_recreate(self, served: Served) -> None:
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

    def test_end_with_their_pods(self, served: Served) -> None:
        served.cluster.apply([deployment("web", 2)])
        served.has(PODS, lambda body: len(body["items"]) == 2)
        served.cluster.delete([deployment("web")])
        served.has(PODS, lambda body: not body["items"])
        assert not served.cluster.list("apps/v1", "ReplicaSet", "shop")

    def test_report_why_they_have_no_pods(self, served: Served) -> None:
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

    def test_have_slices_that_distinguish_ready_pods(self, served: Served) -> None:
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

    def test_include_the_api_server(self, served: Served) -> None:
        served.eventually(lambda: served.node.services)
        (rule,) = [one for one in served.node.services if one.address == "10.96.0.1"]
        assert (rule.port, [backend.ip for backend in rule.backends]) == (443, [served.node.address])

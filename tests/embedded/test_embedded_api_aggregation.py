"""Aggregated APIs: their availability, and the requests that arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from api_objects import thing
from fake_node import Served, serving
from https_pod import NAME, HttpsPod

from conformance.clusters import Account
from conformance.clusters.embedded.api.aggregation import API_SERVICES, Aggregation
from conformance.clusters.embedded.api.object_store import Store
from conformance.clusters.embedded.api.service_client import ServiceClient

API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1.tea.example.org"
AUTHENTICATION = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
API = "/apis/tea.example.org/v1"


class TeaHouse:
    """Serves an API, and records its requests."""

    def __init__(self) -> None:
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        name = dict(part for (part,) in certificate["subject"]) if certificate else {}
        return web.json_response(
            {
                "path": request.path_qs,
                "method": request.method,
                "body": await request.text(),
                "certificate": name.get("commonName"),
                "user": request.headers.getall("X-Remote-User", []),
                "groups": request.headers.getall("X-Remote-Group", []),
                "token": request.headers.get("Authorization"),
            },
            status=self.status,
        )


def api_service(pod: HttpsPod, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.tea.example.org"},
        "spec": {
            "group": "tea.example.org",
            "version": "v1",
            "service": pod.reference(),
            "caBundle": pod.bundle,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            **more,
        },
    }


@pytest.fixture
def house() -> TeaHouse:
    return TeaHouse()


@pytest.fixture
def pod(house: TeaHouse) -> HttpsPod:
    return HttpsPod(house.answer)


@pytest.fixture
def served(pod: HttpsPod) -> Iterator[Served]:
    with serving({NAME: pod.program}) as made:
        trusted = made.cluster.request("GET", AUTHENTICATION).body["data"]
        pod.clients = trusted["requestheader-client-ca-file"]
        yield made


def available(served: Served, status: str) -> str:
    """The message of the Available condition once it has this status."""

    def message(body: Any) -> list[str]:
        conditions = body.get("status", {}).get("conditions") or ()
        return [one["message"] for one in conditions if (one["type"], one["status"]) == ("Available", status)]

    (found,) = served.has(API_SERVICE, message)
    return found


def test_an_api_is_available_while_a_pod_serves_it(served: Served, pod: HttpsPod, house: TeaHouse) -> None:
    served.cluster.apply([api_service(pod)])
    assert available(served, "False") == 'services "backend" not found'
    assert served.cluster.request("GET", API).status == 404
    pod.begin(served)
    available(served, "True")
    assert served.cluster.request("GET", API).status == 200
    served.cluster.delete([{**thing("v1", "Pod", NAME), "metadata": {"namespace": NAME, "name": NAME}}])
    assert available(served, "False") == 'no endpoints available for service "backend"'
    answer = served.cluster.request("GET", API)
    assert (answer.status, answer.body["reason"]) == (503, "ServiceUnavailable")


def test_an_api_that_answers_with_errors_is_not_available(
    served: Served, pod: HttpsPod, house: TeaHouse
) -> None:
    house.status = 500
    pod.begin(served)
    served.cluster.apply([api_service(pod)])
    assert available(served, "False") == f"{API} answers 500"


def test_an_api_with_an_unknown_certificate_is_not_available(served: Served, pod: HttpsPod) -> None:
    pod.begin(served)
    served.cluster.apply([api_service(pod, caBundle=HttpsPod(TeaHouse().answer).bundle)])
    assert "CERTIFICATE_VERIFY_FAILED" in available(served, "False")


def test_a_request_arrives_with_its_user_and_the_certificate_of_the_proxy(
    served: Served, pod: HttpsPod
) -> None:
    pod.begin(served)
    served.cluster.apply([api_service(pod)])
    available(served, "True")
    path = f"{API}/namespaces/default/cups?limit=3&labelSelector=a%20in%20(b)"
    seen = served.cluster.request("POST", path, {"sugar": 1}).body
    assert (seen["method"], seen["body"]) == ("POST", '{"sugar": 1}')
    assert seen["path"].startswith(f"{API}/namespaces/default/cups?limit=3&labelSelector=a")
    assert seen["certificate"] == "front-proxy-client"
    assert (seen["user"], seen["groups"]) == (
        ["kubernetes-admin"],
        ["system:masters", "system:authenticated"],
    )
    assert seen["token"] is None


def test_a_request_arrives_under_the_name_of_an_account(served: Served, pod: HttpsPod) -> None:
    pod.begin(served)
    served.cluster.apply([api_service(pod)])
    available(served, "True")
    seen = served.cluster.request("GET", API, account=Account("default", "default")).body
    assert seen["user"] == ["system:serviceaccount:default:default"]
    assert "system:serviceaccounts:default" in seen["groups"]


def test_a_request_that_rbac_denies_is_not_forwarded(served: Served, pod: HttpsPod) -> None:
    pod.begin(served)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "tea"},
        "rules": [{"apiGroups": ["tea.example.org"], "resources": ["cups/handles"], "verbs": ["get"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "tea"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "tea"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "default"}],
    }
    served.cluster.apply([api_service(pod), role, binding])
    available(served, "True")
    cups, account = f"{API}/namespaces/default/cups", Account("default", "default")
    refused = served.cluster.request("GET", cups, account=account)
    assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
    assert 'cannot list resource "cups" in API group "tea.example.org"' in refused.body["message"]
    assert served.cluster.request("GET", f"{cups}/one", account=account).status == 403
    handed_on = served.cluster.request("GET", f"{cups}/one/handles", account=account)
    assert handed_on.body["user"] == ["system:serviceaccount:default:default"]


def test_an_api_is_discovered_as_long_as_it_is_registered(served: Served, pod: HttpsPod) -> None:
    served.cluster.apply([api_service(pod)])
    group = served.cluster.request("GET", "/apis/tea.example.org").body
    assert [one["version"] for one in group["versions"]] == ["v1"]
    served.cluster.delete([api_service(pod)])
    assert served.cluster.request("GET", "/apis/tea.example.org").status == 404


def test_the_api_server_forwards_requests_to_services_with_port_and_query(
    served: Served, pod: HttpsPod
) -> None:
    pod.begin(served)
    proxy = f"/api/v1/namespaces/{NAME}/services/https:{NAME}:443/proxy"
    seen = served.cluster.request("GET", f"{proxy}/a/b?c=d%26e").body
    assert (seen["path"], seen["certificate"]) == ("/a/b?c=d%26e", None)
    assert served.cluster.request("GET", proxy.replace("443", "444")).status == 503
    assert served.cluster.request("GET", proxy.replace(f"https:{NAME}:443", NAME)).status == 501
    assert served.cluster.request("GET", proxy.replace(f"https:{NAME}", "https:nobody")).status == 404


async def ended_while_something_happens() -> bool:
    store = Store()
    task = asyncio.create_task(Aggregation(store, ServiceClient(store)).run())
    await asyncio.sleep(0)
    store.create(API_SERVICES, {"metadata": {"name": "v1."}, "spec": {"group": "", "version": "v1"}})
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=1)
    ended = task.done()
    # A task that lost its first cancellation must end all the same.
    task.cancel()
    await asyncio.wait({task})
    return ended


def test_aggregation_ends_even_at_the_moment_at_which_an_api_changes() -> None:
    assert asyncio.run(ended_while_something_happens())

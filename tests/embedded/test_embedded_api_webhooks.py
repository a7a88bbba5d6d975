"""Webhooks of the embedded cluster: which are called, their effect, and concurrent changes."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from api_objects import PODS, deployment, is_ready, namespace, pod, thing
from fake_node import FakeNode, Served, serving

from conformance.clusters import ApiStatusError
from conformance.clusters.embedded.api.service_client import load_key_pair
from conformance.clusters.embedded.interface import Object
from smi_reference_mesh.kube.certificates import CertificateAuthority

LABEL = {"op": "add", "path": "/metadata/labels/seen", "value": "yes"}


@dataclass
class Hook:
    """A webhook in a pod, with a configurable answer and an event that releases it."""

    authority: CertificateAuthority
    response: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def program(self, _node: FakeNode, _pod: Object, address: str) -> AsyncIterator[None]:
        application = web.Application()
        application.router.add_post("/ask", self._answer)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        load_key_pair(tls, self.authority.serving(["hook.hooks.svc"], datetime.now(UTC)))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, address, 8080, ssl_context=tls).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        review = await request.json()
        self.asked.append(review["request"])
        await self.open.wait()
        response = {"uid": review["request"]["uid"], "allowed": True, **self.response}
        return web.json_response({**review, "response": response})

    def configuration(self, **more: Any) -> dict[str, Any]:
        bundle = base64.b64encode(self.authority.trust_bundle.encode()).decode()
        where = {"namespace": "hooks", "name": "hook", "port": 443, "path": "/ask"}
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "hook"},
            "webhooks": [
                {
                    "name": "hook.example.org",
                    "clientConfig": {"service": where, "caBundle": bundle},
                    "rules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["pods"],
                        }
                    ],
                    "namespaceSelector": {"matchLabels": {"hooked": "yes"}},
                    **more,
                }
            ],
        }


@pytest.fixture
def hook() -> Hook:
    made = Hook(CertificateAuthority(CertificateAuthority.create(datetime.now(UTC))))
    made.open.set()
    return made


@pytest.fixture
def served(hook: Hook) -> Iterator[Served]:
    with serving({"hook": hook.program}) as made:
        made.cluster.apply([namespace("hooks"), namespace("shop", hooked="yes")])
        own, way = pod("hook"), thing("v1", "Service", "hook", spec={"selector": {"app": "hook"}})
        way["spec"]["ports"] = [{"port": 443, "targetPort": "http"}]
        for item in (own, way):
            item["metadata"]["namespace"] = "hooks"
        made.cluster.apply([own, way])
        made.has("/api/v1/namespaces/hooks/pods/hook", is_ready)
        slices = "/apis/discovery.k8s.io/v1/namespaces/hooks/endpointslices"
        made.has(
            slices, lambda body: any(one["endpoints"][0]["conditions"]["ready"] for one in body["items"])
        )
        yield made
        made.loop.call_soon_threadsafe(hook.open.set)


def patching(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def while_it_thinks(
    served: Served, hook: Hook, create: Callable[[], Any], meanwhile: Callable[[], Any]
) -> Any:
    """The outcome of a creation if another action comes before the webhook's answer."""
    hook.open.clear()
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(create)

        async def asked() -> None:
            while not hook.asked:
                await asyncio.sleep(0.002)

        served.run(asked)
        meanwhile()
        served.loop.call_soon_threadsafe(hook.open.set)
        return creating.exception(timeout=5) or creating.result()


class TestAWebhook:
    def test_sees_a_pod_with_its_defaults_and_changes_it(self, served: Served, hook: Hook) -> None:
        helper = {"name": "helper", "ports": [{"name": "extra", "containerPort": 1}]}
        operation = {"op": "add", "path": "/spec/initContainers", "value": [helper]}
        hook.response = patching(LABEL, operation)
        served.cluster.apply([hook.configuration(), pod("one")])
        (request,) = hook.asked
        assert (request["operation"], request["namespace"], request["name"]) == ("CREATE", "shop", "one")
        assert request["object"]["spec"]["serviceAccountName"] == "default"
        made = served.cluster.request("GET", f"{PODS}/one").body
        assert made["metadata"]["labels"] == {"app": "one", "seen": "yes"}
        (added,) = made["spec"]["initContainers"]
        assert added["ports"][0]["protocol"] == "TCP"
        assert [one["name"] for one in added["volumeMounts"]] == ["kube-api-access"]
        assert [one["name"] for one in made["spec"]["volumes"]] == ["kube-api-access"]

    def test_is_not_called_for_objects_outside_its_selectors(self, served: Served, hook: Hook) -> None:
        chosen = {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}
        served.cluster.apply([hook.configuration(objectSelector=chosen), namespace("other")])
        skipped, elsewhere = pod("skipped"), pod("elsewhere")
        skipped["metadata"]["labels"]["skip"] = "yes"
        elsewhere["metadata"]["namespace"] = "other"
        served.cluster.apply([skipped, elsewhere, thing("v1", "ConfigMap", "no-pod", data={})])
        assert not hook.asked
        served.cluster.apply([pod("one")])
        assert len(hook.asked) == 1

    def test_can_refuse(self, served: Served, hook: Hook) -> None:
        hook.response = {"allowed": False, "status": {"message": "not today"}}
        served.cluster.apply([hook.configuration()])
        with pytest.raises(
            ApiStatusError, match=r'webhook "hook\.example\.org" denied the request: not today'
        ):
            served.cluster.apply([pod("one")])
        assert served.cluster.request("GET", f"{PODS}/one").status == 404

    def test_with_an_unknown_certificate_is_not_trusted(self, served: Served, hook: Hook) -> None:
        stranger = Hook(CertificateAuthority(CertificateAuthority.create(datetime.now(UTC))))
        served.cluster.apply([stranger.configuration()])
        with pytest.raises(ApiStatusError, match="CERTIFICATE_VERIFY_FAILED"):
            served.cluster.apply([pod("one")])
        assert not hook.asked

    def test_that_fails_is_ignored_with_that_failure_policy(self, served: Served, hook: Hook) -> None:
        hook.response = {"allowed": True, "patch": "nonsense"}
        served.cluster.apply([hook.configuration()])
        with pytest.raises(ApiStatusError, match="failed calling webhook"):
            served.cluster.apply([pod("one")])
        served.cluster.apply([hook.configuration(failurePolicy="Ignore"), pod("one")])
        assert served.cluster.request("GET", f"{PODS}/one").status == 200

    @pytest.mark.parametrize("kind", ["Pod", "Deployment"])
    def test_that_breaks_a_pod_stops_no_other_pod(self, served: Served, hook: Hook, kind: str) -> None:
        hook.response = patching({"op": "remove", "path": "/spec/containers/0/name"})
        served.cluster.apply([hook.configuration()])
        if kind == "Pod":
            with pytest.raises(ApiStatusError, match=r"spec\.containers\[0\]\.name: Required value"):
                served.cluster.apply([pod("one")])
        else:
            served.cluster.apply([deployment("spoilt")])
            event, *_ = served.has("/api/v1/namespaces/shop/events", lambda body: body["items"])
            assert "Required value" in event["message"]
        hook.response = {}
        served.cluster.apply([deployment("sound")])
        served.has(PODS, lambda body: [one for one in body["items"] if is_ready(one)])

    def test_that_times_out_has_failed(self, served: Served, hook: Hook) -> None:
        hook.open.clear()
        served.cluster.apply([hook.configuration(timeoutSeconds=0.1)])
        with pytest.raises(ApiStatusError, match=r"failed calling webhook.*Timeout"):
            served.cluster.apply([pod("one")])


class TestMeanwhile:
    def test_a_deleted_namespace_accepts_no_pod(self, served: Served, hook: Hook) -> None:
        served.cluster.apply([hook.configuration()])

        def go() -> None:
            served.cluster.delete([namespace("shop")])
            served.has("/api/v1/namespaces/shop", lambda body: body.get("code") == 404)

        outcome = while_it_thinks(served, hook, lambda: served.cluster.apply([pod("late")]), go)
        assert isinstance(outcome, ApiStatusError)
        assert ("shop", "late") not in served.node.running

    def test_a_terminating_namespace_accepts_no_pod_and_ends(self, served: Served, hook: Hook) -> None:
        served.cluster.apply([pod("slow")])
        served.has(f"{PODS}/slow", is_ready)
        slow = served.node.running["shop", "slow"]

        class Deaf:
            def set(self) -> None:
                """Does not end when it is told to."""

        served.node.running["shop", "slow"] = Deaf()  # type: ignore[assignment]
        served.cluster.apply([hook.configuration()])
        outcome = while_it_thinks(
            served,
            hook,
            lambda: served.cluster.apply([pod("late")]),
            lambda: served.cluster.delete([namespace("shop")]),
        )
        assert isinstance(outcome, ApiStatusError)
        assert "because it is being terminated" in str(outcome)
        served.loop.call_soon_threadsafe(slow.set)
        served.has("/api/v1/namespaces/shop", lambda body: body.get("code") == 404)
        assert ("shop", "late") not in served.node.running

    def test_a_deleted_deployment_leaves_no_pod(self, served: Served, hook: Hook) -> None:
        served.cluster.apply([hook.configuration()])

        def go() -> None:
            served.cluster.delete([deployment("web")])

        while_it_thinks(served, hook, lambda: served.cluster.apply([deployment("web")]), go)
        served.eventually(lambda: [name for _, name, _ in served.node.stopped if name.startswith("web-")])
        served.has(PODS, lambda body: not body["items"])

    def test_another_pod_of_the_name_wins(self, served: Served, hook: Hook) -> None:
        served.cluster.apply([hook.configuration()])

        def rival() -> None:
            other = pod("one")
            other["metadata"]["labels"]["rival"] = "yes"
            served.cluster.request(
                "DELETE", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hook"
            )
            served.cluster.apply([other])

        outcome = while_it_thinks(served, hook, lambda: served.cluster.apply([pod("one")]), rival)
        assert isinstance(outcome, ApiStatusError)
        assert outcome.status == 409
        assert served.cluster.request("GET", f"{PODS}/one").body["metadata"]["labels"]["rival"] == "yes"

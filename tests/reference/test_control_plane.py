from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from fake_api_server import FakeApiServer, eventually

from smi_reference_mesh.control_plane.app import ControlPlane, ControlPlaneSettings
from smi_reference_mesh.kube.certificates import CertificateAuthority
from smi_reference_mesh.metrics.traffic_metrics import Reference

PODS = "/api/v1/pods"
FAULTS = "/api/v1/namespaces/smi-reference/configmaps"
AUTHORIZED = {"Authorization": "Bearer token-of-server"}


def pod(name: str, ip: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "annotations": {"reference.smi-conformance.dev/status": "injected"},
        },
        "spec": {"serviceAccountName": name, "containers": []},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
    }


def fault(name: str) -> dict[str, Any]:
    return {"metadata": {"name": "fault", "namespace": "smi-reference"}, "data": {"fault": name}}


class Setting:
    def __init__(self, fake: FakeApiServer, plane: ControlPlane, client: TestClient[Any, Any]) -> None:
        self.fake = fake
        self.plane = plane
        self.client = client

    async def poll(self, have: str = "", identity: str = "") -> Any:
        query = {"have": have, "identity": identity}
        answer = await self.client.get("/v1/config", params=query, headers=AUTHORIZED)
        return await answer.json()

    async def post(self, path: str, body: Any) -> int:
        return (await self.client.post(path, json=body, headers=AUTHORIZED)).status

    async def health(self) -> Any:
        return await (await self.client.get("/healthz")).json()


@asynccontextmanager
async def running() -> AsyncIterator[Setting]:
    fake = FakeApiServer()
    fake.put(PODS, pod("server", "10.0.0.1"))
    fake.put(PODS, pod("client", "10.0.0.2"))
    fake.pods_by_token["token-of-server"] = ("shop", "server")
    authority = CertificateAuthority(CertificateAuthority.create(datetime.now(UTC)))
    async with fake.running() as api:
        plane = ControlPlane(api, authority, ControlPlaneSettings(Path("unused"), "mesh:1", 10))
        task = asyncio.create_task(plane.run())
        client = TestClient(TestServer(plane.control_api()))
        await client.start_server()
        try:
            yield Setting(fake, plane, client)
        finally:
            await client.close()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def run(scenario: Any) -> None:
    async def within() -> None:
        async with running() as setting:
            await scenario(setting)

    asyncio.run(within())


def test_a_sidecar_without_token_gets_nothing() -> None:
    async def scenario(setting: Setting) -> None:
        assert (await setting.client.get("/v1/config")).status == 401
        bad = {"Authorization": "Bearer nonsense"}
        assert (await setting.client.get("/v1/config", headers=bad)).status == 401
        assert (await setting.client.post("/v1/metrics", json={}, headers=bad)).status == 401

    run(scenario)


def test_a_change_in_the_cluster_reaches_the_sidecar() -> None:
    async def scenario(setting: Setting) -> None:
        first = await setting.poll()
        waiting = asyncio.create_task(setting.poll(first["version"], first["identity"]))
        service = {
            "metadata": {"name": "s", "namespace": "shop"},
            "spec": {"clusterIP": "10.1.0.1", "clusterIPs": ["10.1.0.1"], "ports": [{"port": 80}]},
        }
        namespace = {
            "metadata": {
                "name": "shop",
                "labels": {"reference.smi-conformance.dev/inject": "enabled"},
            }
        }
        setting.fake.put("/api/v1/namespaces", namespace)
        setting.fake.put("/api/v1/services", service)
        second = await waiting
        while not any("shop_s_80" in path for path in second["responses"]):
            second = await setting.poll(second["version"], second["identity"])

    run(scenario)


def test_requests_are_reported_between_the_pods_of_the_addresses() -> None:
    async def scenario(setting: Setting) -> None:
        await setting.poll()
        tally = {"direction": "in", "peer": "10.0.0.2", "route": "r", "cluster": "c"}
        counts = {"successes": 3, "failures": 1, "latencies": {"5": 4}}
        body = {"intervals": [{"age_s": 0.1, "tallies": [{**tally, **counts}]}]}
        assert await setting.post("/v1/metrics", body) == 200
        (edge,) = setting.plane.metrics_snapshot().edges(Reference("pods", "shop", "server"))["items"]
        assert edge["edge"]["resource"]["name"] == "client"
        assert [metric["value"] for metric in edge["metrics"][-2:]] == ["3", "1"]

    run(scenario)


def test_an_invalid_report_is_refused() -> None:
    async def scenario(setting: Setting) -> None:
        assert await setting.post("/v1/metrics", {"intervals": [{"age_s": 1}]}) == 400
        assert await setting.post("/v1/status", []) == 400

    run(scenario)


def test_a_refused_configuration_is_published_at_the_pod() -> None:
    async def scenario(setting: Setting) -> None:
        first = await setting.poll()
        body = {"version": first["version"], "accepted": False, "error": "no such filter"}
        assert await setting.post("/v1/status", body) == 200
        (event,) = [
            body for method, path, body in setting.fake.requests if path == "/api/v1/namespaces/shop/events"
        ]
        assert (event["type"], event["involvedObject"]["name"]) == ("Warning", "server")
        assert event["message"] == "no such filter"
        problems = (await (await setting.client.get("/v1/problems")).json())["problems"]
        assert [(problem["name"], problem["message"]) for problem in problems] == [
            ("server", "no such filter")
        ]

    run(scenario)


def test_a_splits_problem_is_published_on_it_once() -> None:
    events = "/api/v1/namespaces/shop/events"
    split = {
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1"},
        "spec": {"service": "web", "backends": [{"service": "gone", "weight": 1}]},
    }

    async def scenario(setting: Setting) -> None:
        await setting.poll()
        setting.fake.put("/apis/split.smi-spec.io/v1alpha4/trafficsplits", split)
        await eventually(lambda: any(path == events for _, path, _ in setting.fake.requests))
        setting.fake.put(PODS, pod("another", "10.0.0.3"))
        subscribers = (await setting.health())["workloads"]
        assert subscribers == 1
        (event,) = [body for _, path, body in setting.fake.requests if path == events]
        assert event["involvedObject"] == {
            "apiVersion": "split.smi-spec.io/v1alpha4",
            "kind": "TrafficSplit",
            "namespace": "shop",
            "name": "web",
            "uid": "u-1",
        }
        assert (event["type"], event["reason"]) == ("Warning", "Misconfigured")
        assert event["message"] == "service web does not exist in a meshed namespace"

    run(scenario)


def active(setting: Setting) -> str | None:
    (config_map,) = setting.fake.objects[FAULTS].values()
    annotations: dict[str, str] = config_map["metadata"].get("annotations", {})
    return annotations.get("reference.smi-conformance.dev/active-fault")


def test_a_fault_is_announced_once_every_sidecar_has_its_configuration() -> None:
    async def scenario(setting: Setting) -> None:
        first = await setting.poll()
        await setting.post("/v1/status", {"version": first["version"], "error": ""})
        setting.fake.put(FAULTS, fault("split-weights-ignored"))
        await eventually(lambda: active(setting) == "split-weights-ignored")
        assert (await setting.health())["fault"] == "split-weights-ignored"
        setting.fake.put(FAULTS, fault(""))
        await eventually(lambda: active(setting) == "")

    run(scenario)


def test_an_unknown_fault_is_reported_and_changes_nothing() -> None:
    async def scenario(setting: Setting) -> None:
        await setting.poll()
        setting.fake.put(FAULTS, fault("no-such-fault"))
        async with asyncio.timeout(5):
            while "no-such-fault" not in (health := await setting.health())["faultProblem"]:
                pass
        assert health["fault"] == ""

    run(scenario)


def test_the_webhook_injects_the_image_of_the_control_plane() -> None:
    async def scenario(setting: Setting) -> None:
        review = {"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "object": pod("new", "")}}
        review["request"]["object"]["metadata"] = {}
        answer = await (await setting.client.post("/inject", json=review)).json()
        assert (answer["response"]["uid"], answer["response"]["patchType"]) == ("u", "JSONPatch")

    run(scenario)


def test_objects_are_converted_for_the_api_server() -> None:
    async def scenario(setting: Setting) -> None:
        old = {
            "apiVersion": "specs.smi-spec.io/v1alpha2",
            "kind": "HTTPRouteGroup",
            "metadata": {"name": "g", "namespace": "shop"},
            "matches": [{"name": "m"}],
        }
        request = {"uid": "u", "desiredAPIVersion": "specs.smi-spec.io/v1alpha4", "objects": [old]}
        document = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request}
        answer = await (await setting.client.post("/convert", json=document)).json()
        assert answer["response"]["result"] == {"status": "Success"}
        (new,) = answer["response"]["convertedObjects"]
        assert new["spec"] == {"matches": [{"name": "m"}]}

    run(scenario)


def test_the_control_plane_is_healthy_once_synced() -> None:
    async def scenario(setting: Setting) -> None:
        await setting.poll()
        health = await setting.health()
        assert (health["synced"], health["workloads"], health["windowSeconds"]) == (True, 1, 10)
        assert health["notServed"] == []

    run(scenario)

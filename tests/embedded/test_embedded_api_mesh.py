"""The reference mesh in the embedded cluster: its own installer, its own control plane, over a fake node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_objects import PODS, deployment, is_ready, namespace, pod
from control_plane_pod import control_plane
from fake_node import Served, serving

from conformance.clusters import Account, ApiStatusError
from conformance.drive.api_reads import METRICS
from conformance.drive.manifests import load
from smi_reference_mesh import names
from smi_reference_mesh.install import installer


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("control-plane")
    with serving({names.SERVICE: control_plane(folder)}) as made:
        with made.cluster.api_client() as client:
            installer.install(client, image="mesh:1", within_s=10)
        yield made


@pytest.fixture
def shop(mesh: Served) -> Iterator[Served]:
    mesh.cluster.apply([namespace("shop", **{names.INJECT_LABEL: "enabled"})])
    yield mesh
    mesh.cluster.delete([namespace("shop")])
    mesh.has("/api/v1/namespaces/shop", lambda body: body.get("code") == 404)


class TestTheMesh:
    def test_is_up_when_it_is_installed(self, mesh: Served) -> None:
        status = mesh.cluster.request(
            "GET", "/api/v1/namespaces/smi-reference/services/https:smi-reference:control/proxy/healthz"
        )
        assert (status.status, status.body["synced"]) == (200, True)

    def test_can_be_installed_again(self, mesh: Served) -> None:
        before = mesh.cluster.request("GET", "/api/v1/namespaces/smi-reference/secrets/smi-reference").body
        with mesh.cluster.api_client() as client:
            installer.install(client, image="mesh:1", within_s=10)
        after = mesh.cluster.request("GET", "/api/v1/namespaces/smi-reference/secrets/smi-reference").body
        assert after["data"] == before["data"]

    def test_gives_new_pods_a_sidecar(self, shop: Served) -> None:
        shop.cluster.apply([deployment("web")])
        (found,) = shop.has(PODS, lambda body: body["items"] and is_ready(body["items"][0]) and body["items"])
        assert [one["name"] for one in found["spec"]["initContainers"]] == ["smi-init", "smi-sidecar"]
        ports = found["spec"]["initContainers"][1]["ports"]
        assert ports[0]["protocol"] == "TCP"
        volumes = [one["name"] for one in found["spec"]["volumes"]]
        assert len(volumes) == len(set(volumes))

    def test_keeps_its_sidecar_when_the_pod_is_applied_again(self, shop: Served) -> None:
        for _ in range(2):
            shop.cluster.apply([pod("one")])
            spec = shop.cluster.request("GET", f"{PODS}/one").body["spec"]
            assert [one["name"] for one in spec["initContainers"]] == ["smi-init", "smi-sidecar"]

    def test_skips_pods_that_opt_out(self, shop: Served) -> None:
        alone = pod("alone")
        alone["metadata"]["labels"][names.INJECT_LABEL] = "disabled"
        shop.cluster.apply([alone])
        assert "initContainers" not in shop.cluster.request("GET", f"{PODS}/alone").body["spec"]

    def test_serves_its_metrics_as_an_aggregated_api(self, shop: Served) -> None:
        assert shop.cluster.request("GET", METRICS).body["groupVersion"] == "metrics.smi-spec.io/v1alpha1"
        groups = [one["name"] for one in shop.cluster.request("GET", "/apis").body["groups"]]
        assert "metrics.smi-spec.io" in groups
        shop.cluster.apply([deployment("web")])
        shop.has(PODS, lambda body: body["items"] and is_ready(body["items"][0]))
        path = f"{METRICS}/namespaces/shop/deployments/web"
        shop.eventually(lambda: shop.cluster.request("GET", path).status == 200)
        assert shop.cluster.request("GET", path).body["resource"]["name"] == "web"
        absent = shop.cluster.request("GET", f"{METRICS}/namespaces/shop/deployments/absent")
        assert (absent.status, absent.body["reason"]) == (404, "NotFound")

    def test_shows_metrics_to_authorized_users(self, shop: Served) -> None:
        shop.cluster.apply([deployment("web"), *readers()])
        shop.has(PODS, lambda body: body["items"] and is_ready(body["items"][0]))
        name = shop.cluster.list("v1", "Pod", "shop")[0]["metadata"]["name"]
        whole, edges = (f"{METRICS}/namespaces/shop/pods/{name}{tail}" for tail in ("", "/edges"))
        shop.eventually(lambda: shop.cluster.request("GET", whole).status == 200)

        def read(reader: str, path: str) -> int:
            return shop.cluster.request("GET", path, account=Account("shop", reader)).status

        assert (read("reads-all", whole), read("reads-edges", whole)) == (200, 403)
        assert (read("reads-edges", edges), read("reads-nothing", edges)) == (200, 403)

    def test_refuses_pods_while_its_webhook_does_not_answer(self, mesh: Served, shop: Served) -> None:
        path = "/api/v1/namespaces/smi-reference/services/smi-reference"
        selector = {"spec": {"selector": {"app.kubernetes.io/name": "nobody"}}}
        before = mesh.cluster.request("GET", path).body["spec"]["selector"]
        mesh.cluster.request("PATCH", path, selector, content_type="application/merge-patch+json")
        own = f"labelSelector=kubernetes.io/service-name={names.SERVICE}"
        slices = f"/apis/discovery.k8s.io/v1/namespaces/smi-reference/endpointslices?{own}"
        try:
            mesh.has(slices, lambda body: not body["items"])
            with pytest.raises(ApiStatusError, match=r'failed calling webhook "inject\.reference') as caught:
                mesh.cluster.apply([pod("one")])
            assert caught.value.status == 500
        finally:
            restored = {"spec": {"selector": before}}
            mesh.cluster.request("PATCH", path, restored, content_type="application/merge-patch+json")
            mesh.has(slices, lambda body: body["items"])

    def test_is_uninstalled_completely(self, tmp_path: Path) -> None:
        with serving({names.SERVICE: control_plane(tmp_path)}) as made:
            with made.cluster.api_client() as client:
                installer.install(client, image="mesh:1", within_s=10)
                installer.uninstall(client, within_s=10)
            assert made.cluster.request("GET", "/api/v1/namespaces/smi-reference").status == 404
            assert not made.node.running
            groups = json.dumps(made.cluster.request("GET", "/apis").body)
            assert "smi-spec.io" not in groups


def readers() -> list[dict[str, Any]]:
    """The accounts of the metrics suite and their rights, in this test's namespace."""
    moved = json.dumps(load("traffic-metrics/rbac/readers.yaml")).replace("smi-metrics", "shop")
    documents: list[dict[str, Any]] = json.loads(moved)
    return documents

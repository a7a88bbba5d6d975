"""The reference mesh in the embedded cluster: its own installer, its own control plane, over a fake node."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fake_node import FakeNode, Served, serving
from test_local_api_cluster import PODS, deployment, is_ready, namespace, pod, thing

from conformance.clusters import Account, Refused
from conformance.clusters.local.seam import Object
from conformance.drive.manifests import load
from conformance.drive.reading import METRICS, round_trip
from conformance.drive.wait import SystemClock, Waiter
from reference import install, names
from reference.aggregation import FrontProxy
from reference.api_server import Access, ApiServer
from reference.ca import Authority, Pair
from reference.control_plane import ControlPlane, Settings

SPLITS = "/apis/split.smi-spec.io/v1alpha4/namespaces/shop/trafficsplits"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AUTHENTICATION = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


def access(node: FakeNode, pod: Object, folder: Path) -> Access:
    """How a pod reaches the API server: with its account's token, over TLS that it verifies."""
    assert node.supplies is not None
    token = folder / "token"
    token.write_text(node.supplies.token(pod, None, 600))
    trust = ssl.create_default_context(cadata=node.supplies.ca())
    return Access(f"https://{node.address}:6443", token, trust)


def files(node: FakeNode, folder: Path) -> dict[str, str]:
    assert node.supplies is not None
    found = node.supplies.secret(names.NAMESPACE, names.SERVICE)
    for name, content in found.items():
        (folder / name).write_bytes(content)
    return {name: str(folder / name) for name in found}


async def listen(application: web.Application, address: str, port: int, tls: ssl.SSLContext) -> web.AppRunner:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, address, port, ssl_context=tls).start()
    return runner


def control_plane(folder: Path) -> Any:
    """The program of the control plane's pod."""

    @asynccontextmanager
    async def program(node: FakeNode, pod: Object, address: str) -> AsyncIterator[None]:
        paths = files(node, folder)
        certificate, key = paths["tls.crt"], paths["tls.key"]
        pair = Pair(Path(paths["ca.crt"]).read_text(), Path(paths["ca.key"]).read_text())
        api = ApiServer(access(node, pod, folder))
        plane = ControlPlane(api, Authority(pair), Settings(folder, "mesh:1", 10))
        proxy = FrontProxy.from_config_map((await api.request("GET", AUTHENTICATION))["data"])
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)
        runners = [
            await listen(plane.service(), address, names.CONTROL_PORT, tls),
            await listen(
                plane.metrics_api(proxy), address, names.METRICS_API_PORT, proxy.tls(certificate, key)
            ),
        ]
        work = asyncio.create_task(plane.run())
        try:
            yield
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            for runner in runners:
                await runner.cleanup()
            await api.close()

    return program


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("control-plane")
    with serving({names.SERVICE: control_plane(folder)}) as made:
        with made.cluster.api_client() as client:
            install.install(client, image="mesh:1", within_s=10)
        yield made


@pytest.fixture
def crds() -> Iterator[Served]:
    with serving() as made:
        with made.cluster.api_client() as client:
            install.install(client, crds_only=True, within_s=10)
        made.cluster.apply([namespace("shop")])
        yield made


@pytest.fixture
def shop(mesh: Served) -> Iterator[Served]:
    mesh.cluster.apply([namespace("shop", **{names.INJECT_LABEL: "enabled"})])
    yield mesh
    mesh.cluster.delete([namespace("shop")])
    mesh.has("/api/v1/namespaces/shop", lambda body: body.get("code") == 404)


def split(version: str = "v1alpha4", **spec: Any) -> dict[str, Any]:
    whole = {"service": "root", "backends": [{"service": "v1", "weight": 1}], **spec}
    return thing(f"split.smi-spec.io/{version}", "TrafficSplit", "one", spec=whole)


class TestCustomResources:
    def test_take_every_verb_and_keep_their_fields(self, crds: Served) -> None:
        crds.cluster.apply([namespace("smi-outside")])
        waiter = Waiter(SystemClock())
        items = load("common/objects/objects.yaml")
        # Each of them watches for a second.
        with ThreadPoolExecutor() as pool:
            trips = pool.map(lambda item: round_trip(crds.cluster, waiter, item, within_s=5), items)
        for item, trip in zip(items, trips, strict=True):
            assert trip.read["spec"] == item["spec"]
            assert set(trip.verbs.values()) == {True}, trip.verbs

    def test_that_their_schema_forbids_are_refused_in_the_words_of_the_api_server(self, crds: Served) -> None:
        with pytest.raises(Refused, match=r"spec\.backends\[0\]\.weight") as caught:
            crds.cluster.apply([split(backends=[{"service": "v1", "weight": -1}])])
        assert (caught.value.status, caught.value.reason) == (422, "Invalid")
        assert str(caught.value).startswith('TrafficSplit.split.smi-spec.io "one" is invalid: ')
        with pytest.raises(Refused, match=r"spec\.service: Required value"):
            crds.cluster.apply(
                [thing("split.smi-spec.io/v1alpha4", "TrafficSplit", "one", spec={"backends": []})]
            )
        with pytest.raises(Refused, match=r'must be of type integer: "string"'):
            crds.cluster.apply([split(backends=[{"service": "v1", "weight": "1"}])])

    def test_lose_what_their_schema_does_not_know(self, crds: Served) -> None:
        crds.cluster.apply([split(unknown="x")])
        assert set(crds.cluster.request("GET", f"{SPLITS}/one").body["spec"]) == {"service", "backends"}

    def test_are_served_at_every_version(self, crds: Served) -> None:
        crds.cluster.apply([split(matches=[{"kind": "HTTPRouteGroup", "name": "r"}])])
        old = crds.cluster.list("split.smi-spec.io/v1alpha2", "TrafficSplit", "shop")
        assert [one["apiVersion"] for one in old] == ["split.smi-spec.io/v1alpha2"]
        assert (
            old[0]["metadata"]["uid"] == crds.cluster.request("GET", f"{SPLITS}/one").body["metadata"]["uid"]
        )

    def test_are_pruned_by_the_version_that_they_are_written_in(self, crds: Served) -> None:
        crds.cluster.apply([split("v1alpha2", matches=[{"kind": "HTTPRouteGroup", "name": "r"}])])
        assert "matches" not in crds.cluster.request("GET", f"{SPLITS}/one").body["spec"]

    def test_are_not_served_at_versions_that_say_so(self, crds: Served) -> None:
        path = f"{DEFINITIONS}/trafficsplits.split.smi-spec.io"
        definition = crds.cluster.request("GET", path).body
        for version in definition["spec"]["versions"]:
            version["served"] = version["name"] == "v1alpha4"
        assert crds.cluster.request("PUT", path, definition).status == 200
        assert crds.cluster.request("GET", SPLITS.replace("v1alpha4", "v1alpha3")).status == 404
        assert crds.cluster.request("GET", "/apis/split.smi-spec.io/v1alpha3").status == 404
        group = crds.cluster.request("GET", "/apis/split.smi-spec.io").body
        assert [one["version"] for one in group["versions"]] == ["v1alpha4"]

    def test_change_with_the_schema_that_is_in_force(self, crds: Served) -> None:
        path = f"{DEFINITIONS}/trafficsplits.split.smi-spec.io"
        definition = crds.cluster.request("GET", path).body
        for version in definition["spec"]["versions"]:
            version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("matches", None)
        assert crds.cluster.request("PUT", path, definition).status == 200
        crds.cluster.apply([split(matches=[{"kind": "HTTPRouteGroup", "name": "r"}])])
        assert "matches" not in crds.cluster.request("GET", f"{SPLITS}/one").body["spec"]

    def test_go_with_their_definition(self, crds: Served) -> None:
        crds.cluster.apply([split()])
        path = f"{DEFINITIONS}/trafficsplits.split.smi-spec.io"
        definition = crds.cluster.request("GET", path).body
        assert crds.cluster.request("DELETE", path).status == 200
        assert crds.cluster.request("GET", SPLITS).status == 404
        del definition["metadata"]["resourceVersion"]
        assert crds.cluster.request("POST", DEFINITIONS, definition).status == 201
        assert crds.cluster.request("GET", SPLITS).body["items"] == []


class TestWatches:
    """By the client of the reference mesh's control plane, with the token of a pod."""

    @pytest.fixture
    def following(self, crds: Served, tmp_path: Path) -> Any:
        rules = [
            {
                "apiGroups": [""],
                "resources": ["configmaps"],
                "verbs": ["list", "watch"],
                "resourceNames": ["a"],
            },
            {"apiGroups": ["split.smi-spec.io"], "resources": ["*"], "verbs": ["list", "watch"]},
        ]
        rbac = "rbac.authorization.k8s.io/v1"
        crds.cluster.apply([
            pod("watcher"),
            thing(rbac, "Role", "watches", rules=rules),
            thing(rbac, "RoleBinding", "watches",
                  roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watches"},
                  subjects=[{"kind": "ServiceAccount", "namespace": "shop", "name": "default"}]),
        ])  # fmt: skip
        watcher = crds.cluster.request("GET", f"{PODS}/watcher").body

        def follow(path: str, query: dict[str, str], change: Any, count: int) -> list[Any]:
            async def work() -> list[Any]:
                api = ApiServer(access(crds.node, watcher, tmp_path))
                seen: list[Any] = []
                try:
                    first = await api.request("GET", path, query=query)
                    version = str(first["metadata"]["resourceVersion"])
                    await asyncio.to_thread(change)
                    async for event in api.watch(path, {**query, "resourceVersion": version}):
                        seen.append((event["type"], event["object"]["metadata"]["name"]))
                        if len(seen) == count:
                            break
                finally:
                    await api.close()
                return seen

            return crds.run(work)

        return follow

    def test_tell_what_happened_after_the_version_that_was_listed(self, crds: Served, following: Any) -> None:
        def change() -> None:
            crds.cluster.apply([split()])
            crds.cluster.apply([split(service="other")])
            crds.cluster.apply([split(service="other")])
            crds.cluster.delete([split()])

        seen = following(SPLITS, {}, change, 3)
        assert seen == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]

    def test_are_permitted_by_the_name_of_the_only_object(self, crds: Served, following: Any) -> None:
        def change() -> None:
            for name in ("b", "a"):
                crds.cluster.apply([thing("v1", "ConfigMap", name, data={})])

        path = "/api/v1/namespaces/shop/configmaps"
        assert following(path, {"fieldSelector": "metadata.name=a"}, change, 1) == [("ADDED", "a")]

    def test_show_an_object_that_ceases_to_match_as_deleted(self, crds: Served) -> None:
        labelled = thing("v1", "ConfigMap", "one", data={})
        labelled["metadata"]["labels"] = {"colour": "red"}
        crds.cluster.apply([labelled])
        path = "/api/v1/namespaces/shop/configmaps"
        version = crds.cluster.request("GET", path).body["metadata"]["resourceVersion"]
        for colour in ("blue", "red"):
            labelled["metadata"]["labels"] = {"colour": colour}
            crds.cluster.apply([labelled])
        query = {
            "watch": "1",
            "labelSelector": "colour=red",
            "resourceVersion": version,
            "timeoutSeconds": "1",
        }
        seen = crds.cluster.request("GET", path, query=query).body
        assert [event["type"] for event in seen] == ["DELETED", "ADDED"]


class TestTheMesh:
    def test_is_up_when_it_is_installed(self, mesh: Served) -> None:
        status = mesh.cluster.request(
            "GET", "/api/v1/namespaces/smi-reference/services/https:smi-reference:control/proxy/healthz"
        )
        assert (status.status, status.body["synced"]) == (200, True)

    def test_can_be_installed_again(self, mesh: Served) -> None:
        before = mesh.cluster.request("GET", "/api/v1/namespaces/smi-reference/secrets/smi-reference").body
        with mesh.cluster.api_client() as client:
            install.install(client, image="mesh:1", within_s=10)
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

    def test_leaves_out_pods_that_do_not_want_one(self, shop: Served) -> None:
        alone = pod("alone")
        alone["metadata"]["labels"][names.INJECT_LABEL] = "disabled"
        shop.cluster.apply([alone])
        assert "initContainers" not in shop.cluster.request("GET", f"{PODS}/alone").body["spec"]

    def test_serves_its_metrics_as_a_part_of_the_api(self, shop: Served) -> None:
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

    def test_shows_metrics_to_those_who_may_read_them(self, shop: Served) -> None:
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
        slices = "/apis/discovery.k8s.io/v1/namespaces/smi-reference/endpointslices"
        try:
            mesh.has(slices, lambda body: not body["items"])
            with pytest.raises(Refused, match=r'failed calling webhook "inject\.reference') as caught:
                mesh.cluster.apply([pod("one")])
            assert caught.value.status == 500
        finally:
            restored = {"spec": {"selector": before}}
            mesh.cluster.request("PATCH", path, restored, content_type="application/merge-patch+json")
            mesh.has(slices, lambda body: body["items"])

    def test_goes_as_it_came(self, tmp_path: Path) -> None:
        with serving({names.SERVICE: control_plane(tmp_path)}) as made:
            with made.cluster.api_client() as client:
                install.install(client, image="mesh:1", within_s=10)
                install.uninstall(client, within_s=10)
            assert made.cluster.request("GET", "/api/v1/namespaces/smi-reference").status == 404
            assert not made.node.running
            groups = json.dumps(made.cluster.request("GET", "/apis").body)
            assert "smi-spec.io" not in groups


def readers() -> list[dict[str, Any]]:
    """The accounts of the metrics suite and what they may read, in this test's namespace."""
    moved = json.dumps(load("traffic-metrics/rbac/readers.yaml")).replace("smi-metrics", "shop")
    documents: list[dict[str, Any]] = json.loads(moved)
    return documents

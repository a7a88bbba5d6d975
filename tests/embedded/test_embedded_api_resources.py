"""Custom resources in the embedded cluster, and watches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from api_objects import PODS, namespace, pod, thing
from control_plane_pod import access
from fake_node import Served, serving

from conformance.clusters import ApiStatusError
from conformance.drive.api_reads import round_trip
from conformance.drive.manifests import load
from conformance.drive.wait import SystemClock, Waiter
from smi_reference_mesh.install import installer
from smi_reference_mesh.kube.client import KubeClient

SPLITS = "/apis/split.smi-spec.io/v1alpha4/namespaces/shop/trafficsplits"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def crds() -> Iterator[Served]:
    with serving() as made:
        with made.cluster.api_client() as client:
            installer.install(client, crds_only=True, within_s=10)
        made.cluster.apply([namespace("shop")])
        yield made


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

    def test_that_violate_their_schema_are_refused_in_the_words_of_the_api_server(self, crds: Served) -> None:
        with pytest.raises(ApiStatusError, match=r"spec\.backends\[0\]\.weight") as caught:
            crds.cluster.apply([split(backends=[{"service": "v1", "weight": -1}])])
        assert (caught.value.status, caught.value.reason) == (422, "Invalid")
        assert str(caught.value).startswith('TrafficSplit.split.smi-spec.io "one" is invalid: ')
        with pytest.raises(ApiStatusError, match=r"spec\.service: Required value"):
            crds.cluster.apply(
                [thing("split.smi-spec.io/v1alpha4", "TrafficSplit", "one", spec={"backends": []})]
            )
        with pytest.raises(ApiStatusError, match=r'must be of type integer: "string"'):
            crds.cluster.apply([split(backends=[{"service": "v1", "weight": "1"}])])

    def test_lose_undeclared_fields(self, crds: Served) -> None:
        assert crds.cluster.request("POST", SPLITS, split(unknown="x")).status == 201
        assert set(crds.cluster.request("GET", f"{SPLITS}/one").body["spec"]) == {"service", "backends"}

    def test_are_refused_when_applied_with_undeclared_fields(self, crds: Served) -> None:
        with pytest.raises(ApiStatusError, match=r"\.spec\.unknown: field not declared in schema") as caught:
            crds.cluster.apply([split(unknown="x")])
        assert caught.value.status == 500
        assert crds.cluster.request("GET", f"{SPLITS}/one").status == 404

    def test_are_served_at_every_version(self, crds: Served) -> None:
        crds.cluster.apply([split(matches=[{"kind": "HTTPRouteGroup", "name": "r"}])])
        old = crds.cluster.list("split.smi-spec.io/v1alpha2", "TrafficSplit", "shop")
        assert [one["apiVersion"] for one in old] == ["split.smi-spec.io/v1alpha2"]
        assert (
            old[0]["metadata"]["uid"] == crds.cluster.request("GET", f"{SPLITS}/one").body["metadata"]["uid"]
        )

    def test_are_pruned_by_the_version_that_they_are_written_in(self, crds: Served) -> None:
        written = split("v1alpha2", matches=[{"kind": "HTTPRouteGroup", "name": "r"}])
        assert crds.cluster.request("POST", SPLITS.replace("v1alpha4", "v1alpha2"), written).status == 201
        assert "matches" not in crds.cluster.request("GET", f"{SPLITS}/one").body["spec"]

    def test_are_not_served_at_unserved_versions(self, crds: Served) -> None:
        path = f"{DEFINITIONS}/trafficsplits.split.smi-spec.io"
        definition = crds.cluster.request("GET", path).body
        for version in definition["spec"]["versions"]:
            version["served"] = version["name"] == "v1alpha4"
        assert crds.cluster.request("PUT", path, definition).status == 200
        assert crds.cluster.request("GET", SPLITS.replace("v1alpha4", "v1alpha3")).status == 404
        assert crds.cluster.request("GET", "/apis/split.smi-spec.io/v1alpha3").status == 404
        group = crds.cluster.request("GET", "/apis/split.smi-spec.io").body
        assert [one["version"] for one in group["versions"]] == ["v1alpha4"]

    def test_change_by_the_current_schema(self, crds: Served) -> None:
        path = f"{DEFINITIONS}/trafficsplits.split.smi-spec.io"
        definition = crds.cluster.request("GET", path).body
        for version in definition["spec"]["versions"]:
            version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("matches", None)
        assert crds.cluster.request("PUT", path, definition).status == 200
        written = split(matches=[{"kind": "HTTPRouteGroup", "name": "r"}])
        assert crds.cluster.request("POST", SPLITS, written).status == 201
        assert "matches" not in crds.cluster.request("GET", f"{SPLITS}/one").body["spec"]

    def test_are_deleted_with_their_definition(self, crds: Served) -> None:
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

        def follow(
            path: str, query: dict[str, str], change: Any, count: int, after_the_first: Any = None
        ) -> list[Any]:
            async def work() -> list[Any]:
                api = KubeClient(access(crds.node, watcher, tmp_path))
                seen: list[Any] = []
                try:
                    first = await api.request("GET", path, query=query)
                    version = str(first["metadata"]["resourceVersion"])
                    await asyncio.to_thread(change)
                    async for event in api.watch(path, {**query, "resourceVersion": version}):
                        seen.append((event["type"], event["object"]["metadata"]["name"]))
                        if len(seen) == count:
                            break
                        if len(seen) == 1 and after_the_first:
                            await asyncio.to_thread(after_the_first)
                finally:
                    await api.close()
                return seen

            return crds.run(work)

        return follow

    def test_report_the_changes_since_the_listed_version(self, crds: Served, following: Any) -> None:
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

    def test_end_with_the_definition_of_their_kind(self, crds: Served, following: Any) -> None:
        def change() -> None:
            crds.cluster.apply([split()])

        def undefine() -> None:
            path = f"{DEFINITIONS}/trafficsplits.split.smi-spec.io"
            assert crds.cluster.request("DELETE", path).status == 200

        # It waits for more events than there are, so it ends by itself.
        seen = following(SPLITS, {}, change, 3, undefine)
        assert seen == [("ADDED", "one"), ("DELETED", "one")]

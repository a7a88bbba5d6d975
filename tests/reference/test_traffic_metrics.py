from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.metrics.request_counts import RequestCounts
from smi_reference_mesh.metrics.traffic_metrics import (
    KINDS,
    Inventory,
    MetricsSnapshot,
    NotFound,
    Reference,
    discovery,
)
from smi_reference_mesh.metrics.windowed_counts import Stream

MOMENT = datetime(2024, 5, 1, 12, 30, 45, 678, tzinfo=UTC)


def thing(name: str, namespace: str = "shop", labels: dict[str, str] | None = None, **rest: Any) -> Any:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels or {}}, **rest}


def owned(pod: Any, kind: str, name: str) -> Any:
    pod["metadata"]["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    return pod


def pod(name: str, app: str, owner: tuple[str, str] | None = None, namespace: str = "shop") -> Any:
    made = thing(name, namespace, {"app": app}, spec={"nodeName": "node-1"})
    return owned(made, *owner) if owner else made


def inventory() -> Inventory:
    return Inventory(
        {
            "namespaces": (thing("shop", ""), thing("other", "")),
            "nodes": (thing("node-1", ""), thing("node-2", "")),
            "pods": (
                pod("client-1", "client", ("Job", "client")),
                pod("mid-1", "mid", ("ReplicaSet", "mid-abc")),
                pod("mid-2", "mid", ("ReplicaSet", "mid-abc")),
                pod("server-1", "server", ("ReplicaSet", "server-abc")),
                pod("stray", "mid", None, "other"),
            ),
            "replicasets": (
                owned(thing("mid-abc"), "Deployment", "mid"),
                owned(thing("server-abc"), "Deployment", "server"),
            ),
            "deployments": (
                thing("mid", labels={"app": "mid"}),
                thing("server", labels={"app": "server"}),
                thing("mid", "other"),
            ),
            "jobs": (thing("client"),),
            "services": (
                thing("mid", spec={"selector": {"app": "mid"}}),
                thing("headless", spec={}),
            ),
            "trafficsplits": (
                thing(
                    "canary",
                    spec={
                        "service": "server.shop",
                        "backends": [{"service": "v1", "weight": 75}, {"service": "v2", "weight": 25}],
                    },
                ),
            ),
        }
    )


def stream(direction: str, at: str, peer: str | None, route: str = "root", cluster: str = "") -> Stream:
    return Stream(
        Workload("shop", at),
        "in" if direction == "in" else "out",
        Workload("shop", peer) if peer else None,
        route,
        cluster,
    )


def tally(successes: int, failures: int = 0, milliseconds: float = 10) -> RequestCounts:
    made = RequestCounts()
    for status, number in ((200, successes), (500, failures)):
        for _ in range(number):
            made.count(status, milliseconds)
    return made


def metrics_snapshot() -> MetricsSnapshot:
    return MetricsSnapshot(
        inventory(),
        {
            stream("out", "client-1", "mid-1"): tally(60),
            stream("out", "client-1", "mid-2"): tally(40),
            stream("in", "mid-1", "client-1"): tally(60),
            stream("in", "mid-2", "client-1"): tally(36, 4),
            stream("out", "mid-1", "server-1"): tally(10),
            stream("in", "server-1", "mid-1"): tally(10),
            stream("in", "server-1", None): tally(5),
            stream("out", "mid-1", "server-1", "split/shop/canary", "outbound|shop|v1|80"): tally(3),
            stream("out", "client-1", "server-1", "split/shop/canary", "outbound|shop|v1|80"): tally(4),
            stream("out", "client-1", "server-1", "split/shop/canary", "outbound|shop|v2|80"): tally(1, 1),
            stream("out", "client-1", "server-1", "root", "outbound|shop|v2|80"): tally(100),
            stream("out", "client-1", "server-1", "split/other/canary", "outbound|shop|v2|80"): tally(100),
        },
        10.0,
        MOMENT,
    )


def counts(document: Any) -> tuple[str, str]:
    values = {metric["name"]: metric["value"] for metric in document["metrics"]}
    return values["success_count"], values["failure_count"]


def test_a_get_covers_requests_from_all_clients() -> None:
    document = metrics_snapshot().single(Reference("pods", "shop", "server-1"))
    assert document == {
        "apiVersion": "metrics.smi-spec.io/v1alpha1",
        "kind": "TrafficMetrics",
        "metadata": {"name": "server-1", "namespace": "shop"},
        "resource": {"apiVersion": "v1", "kind": "Pod", "name": "server-1", "namespace": "shop"},
        "edge": {"direction": "from", "side": "server", "resource": {}},
        "timestamp": "2024-05-01T12:30:45Z",
        "window": "10s",
        "metrics": [
            {"name": "p99_response_latency", "unit": "seconds", "value": "9919u"},
            {"name": "p90_response_latency", "unit": "seconds", "value": "9919u"},
            {"name": "p50_response_latency", "unit": "seconds", "value": "9919u"},
            {"name": "success_count", "value": "15"},
            {"name": "failure_count", "value": "0"},
        ],
    }


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (Reference("deployments", "shop", "mid"), ("96", "4")),
        (Reference("replicasets", "shop", "mid-abc"), ("96", "4")),
        (Reference("services", "shop", "mid"), ("96", "4")),
        (Reference("services", "shop", "headless"), ("0", "0")),
        (Reference("namespaces", "", "shop"), ("111", "4")),
        (Reference("namespaces", "", "other"), ("0", "0")),
        (Reference("nodes", "", "node-1"), ("111", "4")),
        (Reference("nodes", "", "node-2"), ("0", "0")),
        (Reference("jobs", "shop", "client"), ("0", "0")),
        (Reference("deployments", "other", "mid"), ("0", "0")),
    ],
)
def test_objects_sum_up_their_pods(reference: Reference, expected: tuple[str, str]) -> None:
    assert counts(metrics_snapshot().single(reference)) == expected


def test_edges_have_peer_direction_and_side() -> None:
    document = metrics_snapshot().edges(Reference("deployments", "shop", "mid"))
    assert document["kind"] == "TrafficMetricsList"
    assert document["resource"]["name"] == "mid"
    assert [
        (item["edge"]["direction"], item["edge"]["side"], peer["kind"], peer["name"], counts(item))
        for item in document["items"]
        for peer in [item["edge"]["resource"]]
    ] == [
        ("from", "server", "Job", "client", ("96", "4")),
        ("to", "client", "Deployment", "server", ("13", "0")),
    ]
    assert {item["resource"]["name"] for item in document["items"]} == {"mid"}


def test_an_edge_has_only_the_traffic_of_its_two_ends() -> None:
    items = metrics_snapshot().edges(Reference("pods", "shop", "server-1"))["items"]
    assert [(item["edge"]["resource"]["name"], counts(item)) for item in items] == [("mid-1", ("10", "0"))]


def test_a_list_has_the_objects_in_scope_and_no_name() -> None:
    document = metrics_snapshot().listing("deployments", "shop", "")
    assert document["resource"] == {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop"}
    assert [item["resource"]["name"] for item in document["items"]] == ["mid", "server"]
    assert "selector" not in document
    everywhere = metrics_snapshot().listing("deployments", "", "")
    assert [item["resource"]["namespace"] for item in everywhere["items"]] == ["other", "shop", "shop"]


def test_a_selector_restricts_items_and_not_their_metrics() -> None:
    document = metrics_snapshot().listing("deployments", "shop", "app=mid")
    assert [counts(item) for item in document["items"]] == [("96", "4")]
    assert document["selector"] == {"matchLabels": {"app": "mid"}}


def test_a_split_has_an_item_for_each_backend() -> None:
    document = metrics_snapshot().single(Reference("trafficsplits", "shop", "canary"))
    assert [(item["backend"], counts(item)) for item in document["items"]] == [
        ({"apex": "server", "name": "v1", "weight": 75}, ("7", "0")),
        ({"apex": "server", "name": "v2", "weight": 25}, ("1", "1")),
    ]
    assert {item["resource"]["name"] for item in document["items"]} == {"canary"}
    assert document["items"][0]["edge"] == {"direction": "from", "side": "client", "resource": {}}
    assert document["items"] == metrics_snapshot().listing("trafficsplits", "shop", "")["items"]


@pytest.mark.parametrize("plural", KINDS)
def test_an_object_that_does_not_exist_is_not_found(plural: str) -> None:
    with pytest.raises(NotFound):
        metrics_snapshot().single(Reference(plural, "shop", "nope"))
    with pytest.raises(NotFound):
        metrics_snapshot().edges(Reference(plural, "shop", "nope"))


def test_discovery_offers_every_kind_with_its_edges() -> None:
    resources = {entry["name"]: entry for entry in discovery()["resources"]}
    assert {name for name in resources if "/" not in name} == set(KINDS)
    assert resources["namespaces"]["namespaced"] is False
    assert resources["nodes"]["namespaced"] is False
    assert resources["pods/edges"]["namespaced"] is True
    assert {entry["kind"] for entry in resources.values()} == {"TrafficMetrics"}
    assert all(entry["verbs"] == ["get", "list"] for entry in resources.values())


def test_circular_ownership_terminates() -> None:
    circular = Inventory(
        {
            "pods": (pod("p", "a", ("Job", "a")),),
            "jobs": (owned(thing("a"), "Job", "a"),),
        }
    )
    assert circular.containing("jobs", Workload("shop", "p"))[0].name == "a"

"""Faults of the metrics API."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from smi_reference_mesh.faults.building_blocks import EdgesForPeople, FaultyMetrics
from smi_reference_mesh.faults.fault import Change, Fault
from smi_reference_mesh.hooks import DefaultHooks, MetricsQuery
from smi_reference_mesh.metrics.request_counts import bucket_value, total
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts
from smi_reference_mesh.names import METRICS_GROUP

Document = dict[str, Any]

_ALL_OF_CHAIN = frozenset(
    {
        "metrics-discovery",
        "metrics-object-fields",
        "metrics-edges-subresource",
        "metrics-edge-direction",
        "metrics-counts",
        "metrics-latency-percentiles",
    }
)


def _objects(document: Document) -> Iterator[Document]:
    if document.get("kind") == "TrafficMetrics":
        yield document
    yield from (item for item in document.get("items") or () if isinstance(item, dict))


def _each(edit: Callable[[Document], None]) -> Callable[[], FaultyMetrics]:
    def faulty(document: Document, query: MetricsQuery) -> None:
        for one in _objects(document):
            edit(one)

    return lambda: FaultyMetrics(faulty)


def _namespaces_in_namespaces(document: Document, query: MetricsQuery) -> None:
    if document.get("kind") == "APIResourceList":
        for resource in document["resources"]:
            resource["namespaced"] = True


def _cronjobs_too(document: Document, query: MetricsQuery) -> None:
    if document.get("kind") == "APIResourceList":
        document["resources"].append({**document["resources"][-1], "name": "cronjobs", "namespaced": True})


def _lists_without_window(document: Document, query: MetricsQuery) -> None:
    if not query.name:
        for item in document.get("items") or ():
            item.pop("window", None)


def _per_second(one: Document) -> None:
    window_s = float(str(one["window"]).removesuffix("s"))
    for metric in one["metrics"]:
        if metric["name"].endswith("_count"):
            metric["value"] = str(round(float(metric["value"]) / window_s))


def _at_both_ends(one: Document) -> None:
    for metric in one["metrics"]:
        if metric["name"].endswith("_count"):
            metric["value"] = str(2 * int(metric["value"]))


class _HalfEverySecondTime(DefaultHooks):
    """Halves the counts in every second get of an object, like two servers that share them."""

    def __init__(self) -> None:
        self._gets: Counter[str] = Counter()

    def metrics(self, document: Document, query: MetricsQuery) -> Document:
        copied = copy.deepcopy(document)
        if query.name and not query.edges:
            self._gets[query.path] += 1
            if self._gets[query.path] % 2 == 0:
                for one in _objects(copied):
                    _half(one)
        return copied


def _half(one: Document) -> None:
    for metric in one["metrics"]:
        if metric["name"].endswith("_count"):
            metric["value"] = str(int(metric["value"]) // 2)


def _all_succeeded(one: Document) -> None:
    counts = {metric["name"]: metric for metric in one["metrics"] if metric["name"].endswith("_count")}
    total = sum(int(metric["value"]) for metric in counts.values())
    counts["success_count"]["value"], counts["failure_count"]["value"] = str(total), "0"


def _without_outliers(one: Document) -> None:
    """Omits objects with a failure rate of a third or more."""
    counts = {metric["name"]: metric for metric in one["metrics"] if metric["name"].endswith("_count")}
    failed, total = int(counts["failure_count"]["value"]), sum(int(each["value"]) for each in counts.values())
    if failed * 3 >= total:
        for metric in counts.values():
            metric["value"] = "0"


def _swapped(document: Document, query: MetricsQuery) -> None:
    if query.edges:
        for item in document.get("items") or ():
            item["resource"], item["edge"]["resource"] = item["edge"]["resource"], item["resource"]


def _turned_round(document: Document, query: MetricsQuery) -> None:
    if query.edges:
        for item in document.get("items") or ():
            item["edge"]["direction"] = {"to": "from", "from": "to"}[item["edge"]["direction"]]


def _peers_elsewhere(document: Document, query: MetricsQuery) -> None:
    if query.edges:
        for item in document.get("items") or ():
            item["edge"]["resource"]["namespace"] = "kube-system"


def _median_for_all(one: Document) -> None:
    latencies = {metric["name"]: metric for metric in one["metrics"] if metric["name"].endswith("_latency")}
    for metric in latencies.values():
        metric["value"] = latencies["p50_response_latency"]["value"]


class _MeansForPercentiles(DefaultHooks):
    """Replaces each percentile by the mean latency of the requests that an object's pods received."""

    def __init__(self) -> None:
        self._counts = WindowedCounts()

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        self._counts = counts
        return False

    def metrics(self, document: Document, query: MetricsQuery) -> Document:
        copied = copy.deepcopy(document)
        for one in _objects(copied):
            mean = self._mean(one["resource"])
            for metric in one["metrics"]:
                if metric["name"].endswith("_latency"):
                    metric.update(unit="ms", value=f"{mean:.3f}")
        return copied

    def _mean(self, resource: Document) -> float:
        """By pods named after the object, which suffices for Deployments."""
        received = total(
            tally
            for stream, tally in self._counts.totals().items()
            if stream.direction == "in"
            and stream.pod.namespace == resource.get("namespace")
            and stream.pod.name.startswith(resource["name"])
        ).latencies
        latencies = sum(bucket_value(index) * count for index, count in received.items())
        return latencies / max(1, sum(received.values()))


def _a_thousandfold(one: Document) -> None:
    for metric in one["metrics"]:
        if metric["name"].endswith("_latency"):
            metric["unit"] = "ms" if metric["unit"] in {"s", "seconds"} else "us"


def _nowhere(apiservice: Document) -> Document:
    spec = {**apiservice["spec"], "service": {**apiservice["spec"]["service"], "name": "nowhere"}}
    return {**apiservice, "spec": spec}


_NAME, _RBAC = "smi-metrics-readers", "rbac.authorization.k8s.io"
_OPEN_TO_EVERYBODY: tuple[Document, ...] = (
    {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": _NAME},
        "rules": [{"apiGroups": [METRICS_GROUP], "resources": ["*"], "verbs": ["get", "list"]}],
    },
    {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _NAME},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": _NAME},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": "system:authenticated"}],
    },
)

FAULTS = (
    Fault(
        "metrics-apiservice-points-nowhere",
        "The APIService names a service that does not exist.",
        frozenset({"metrics-apiservice"}),
        change=Change("/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.metrics.smi-spec.io", _nowhere),
    ),
    Fault(
        "metrics-namespaces-namespaced",
        "Discovery says of all kinds, namespaces among them, that they live in namespaces.",
        frozenset({"metrics-discovery"}),
        lambda: FaultyMetrics(_namespaces_in_namespaces),
    ),
    Fault(
        "metrics-discovery-of-more",
        "Discovery offers a kind that nothing answers for.",
        frozenset({"metrics-discovery"}),
        lambda: FaultyMetrics(_cronjobs_too),
    ),
    Fault(
        "metrics-lists-without-window",
        "Objects in lists do not say which window they cover.",
        frozenset({"metrics-object-fields"}),
        lambda: FaultyMetrics(_lists_without_window),
    ),
    Fault(
        "metrics-counts-per-second",
        "Counts are requests a second.",
        frozenset({"metrics-counts"}),
        _each(_per_second),
    ),
    Fault(
        "metrics-counted-at-both-ends",
        "A request counts where it is sent and again where it arrives.",
        frozenset({"metrics-counts"}),
        _each(_at_both_ends),
    ),
    Fault(
        "metrics-counts-half-every-second-time",
        "Every second answer shows half of the requests, as where two servers share them.",
        frozenset({"metrics-counts"}),
        _HalfEverySecondTime,
    ),
    Fault(
        "metrics-everything-succeeded",
        "Whatever was answered counts as success.",
        frozenset({"metrics-counts"}),
        _each(_all_succeeded),
    ),
    Fault(
        "metrics-without-outliers",
        "A workload that fails in a third of its requests or more is left out of the figures.",
        frozenset({"interact-canary-rollout"}),
        _each(_without_outliers),
    ),
    Fault(
        "metrics-edges-swapped",
        "An edge has its peer as resource, and the resource as peer.",
        frozenset({"metrics-edges-subresource"}),
        lambda: FaultyMetrics(_swapped),
        also_fails=frozenset({"metrics-edge-direction"}),
    ),
    Fault(
        "metrics-edges-turned-round",
        "Edges point from the callee to the caller.",
        frozenset({"metrics-edge-direction"}),
        lambda: FaultyMetrics(_turned_round),
        also_fails=frozenset({"metrics-edges-subresource"}),
    ),
    Fault(
        "metrics-edges-in-another-namespace",
        "The peers of edges are said to be in another namespace.",
        frozenset({"metrics-edges-subresource"}),
        lambda: FaultyMetrics(_peers_elsewhere),
        also_fails=frozenset({"metrics-edge-direction"}),
    ),
    Fault(
        "metrics-median-for-all-percentiles",
        "All percentiles are the median.",
        frozenset({"metrics-latency-percentiles"}),
        _each(_median_for_all),
    ),
    Fault(
        "metrics-means-for-percentiles",
        "All percentiles are the mean.",
        frozenset({"metrics-latency-percentiles"}),
        _MeansForPercentiles,
    ),
    Fault(
        "metrics-latency-unit-mislabelled",
        "Latencies are off by a factor of a thousand against their unit.",
        frozenset({"metrics-latency-percentiles"}),
        _each(_a_thousandfold),
        real_defects=("latency-unit-mislabelled",),
    ),
    Fault(
        "metrics-open-to-everybody",
        "What the mesh installs lets everybody who is known to the cluster read all metrics.",
        frozenset({"metrics-rbac"}),
        extra_objects=_OPEN_TO_EVERYBODY,
    ),
    Fault(
        "metrics-edges-refused-to-accounts",
        "The metrics API refuses edges to ServiceAccounts, whatever their role says.",
        frozenset({"metrics-rbac"}),
        EdgesForPeople,
    ),
)

"""TrafficMetrics documents (metrics.smi-spec.io/v1alpha1) from request counts and objects, without I/O.

The specification is apis/traffic-metrics/v1alpha1/traffic-metrics.md. Where it is silent: peers in edges have
the kind of the requested resource, or else that of their pod's owner; percentiles come from the merged
distribution of all pods; an object without traffic has zeros; a get of a split is a list with an item for
each backend, and splits have no edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from smi_reference_mesh.kube import selectors
from smi_reference_mesh.kube.objects import Object, Workload, labels_of, name_of, namespace_of
from smi_reference_mesh.metrics.request_counts import RequestCounts, total
from smi_reference_mesh.metrics.windowed_counts import Stream
from smi_reference_mesh.names import METRICS_GROUP, METRICS_VERSION

API_VERSION: Final = f"{METRICS_GROUP}/{METRICS_VERSION}"

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "namespaces": ("Namespace", "v1"),
    "nodes": ("Node", "v1"),
    "pods": ("Pod", "v1"),
    "replicationcontrollers": ("ReplicationController", "v1"),
    "services": ("Service", "v1"),
    "daemonsets": ("DaemonSet", "apps/v1"),
    "deployments": ("Deployment", "apps/v1"),
    "replicasets": ("ReplicaSet", "apps/v1"),
    "statefulsets": ("StatefulSet", "apps/v1"),
    "jobs": ("Job", "batch/v1"),
    "trafficsplits": ("TrafficSplit", "split.smi-spec.io/v1alpha4"),
}
"""Kind and API version of each offered resource, by plural: the full list of the specification."""

CLUSTER_SCOPED: Final = frozenset({"namespaces", "nodes"})
_PLURALS: Final = {kind: plural for plural, (kind, _) in KINDS.items()}
_SPLITS: Final = "trafficsplits"


class NotFound(Exception):
    """No such object, resource or sub-resource."""


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A reference to the object that metrics describe."""

    plural: str
    namespace: str
    name: str

    def as_json(self) -> dict[str, str]:
        kind, api_version = KINDS[self.plural]
        document = {"apiVersion": api_version, "kind": kind, "name": self.name}
        return {**document, "namespace": self.namespace} if self.namespace else document


class Inventory:
    """The objects of a moment, and the pods that belong to them."""

    def __init__(self, objects: Mapping[str, tuple[Object, ...]]) -> None:
        self._objects = {
            plural: {(namespace_of(thing), name_of(thing)): thing for thing in objects.get(plural, ())}
            for plural in KINDS
        }
        self._references: dict[tuple[str, Workload], tuple[Reference, ...]] = {}

    def find(self, reference: Reference) -> Object:
        """The referenced object. Raises NotFound."""
        thing = self._objects[reference.plural].get((reference.namespace, reference.name))
        if thing is None:
            raise NotFound(f'{reference.plural} "{reference.name}" not found')
        return thing

    def listed(
        self, plural: str, namespace: str, terms: tuple[selectors.Term, ...]
    ) -> list[tuple[Reference, Object]]:
        """The objects of a kind, in one namespace or in all, that match a selector."""
        return [
            (Reference(plural, *place), thing)
            for place, thing in sorted(self._objects[plural].items(), key=lambda item: item[0])
            if namespace in ("", place[0]) and selectors.matches(terms, labels_of(thing))
        ]

    def containing(self, plural: str, pod: Workload) -> tuple[Reference, ...]:
        """The objects of a kind that a pod belongs to: at most one, except for services."""
        key = (plural, pod)
        if key not in self._references:
            self._references[key] = tuple(self._containing(plural, pod))
        return self._references[key]

    def peers(self, plural: str, pod: Workload) -> tuple[Reference, ...]:
        """The references that represent a peer's pod in edges of a kind."""
        owners = self._owners(pod)
        return self.containing(plural, pod) or (owners[-1],)

    def _containing(self, plural: str, pod: Workload) -> Iterable[Reference]:
        thing = self._objects["pods"].get((pod.namespace, pod.name))
        match plural:
            case "namespaces":
                yield Reference(plural, "", pod.namespace)
            case "pods":
                yield Reference(plural, pod.namespace, pod.name)
            case "nodes":
                if thing is not None and thing["spec"].get("nodeName"):
                    yield Reference(plural, "", thing["spec"]["nodeName"])
            case "services":
                for place, service in self._objects[plural].items():
                    selector = service.get("spec", {}).get("selector")
                    if thing is not None and place[0] == pod.namespace and selector:
                        labels = labels_of(thing)
                        if all(labels.get(key) == value for key, value in selector.items()):
                            yield Reference(plural, *place)
            case _:
                yield from (owner for owner in self._owners(pod) if owner.plural == plural)

    def _owners(self, pod: Workload) -> list[Reference]:
        """The pod, its controller, the controller's controller, as far as the API offers their kinds."""
        chain = [Reference("pods", pod.namespace, pod.name)]
        thing = self._objects["pods"].get((pod.namespace, pod.name))
        while thing is not None:
            owners = thing["metadata"].get("ownerReferences", ())
            owner = next((entry for entry in owners if entry.get("controller")), None)
            # A Pod is never a controller; circular ownership must not loop.
            if owner is None or owner["kind"] not in _PLURALS or len(chain) > len(KINDS):
                break
            chain.append(Reference(_PLURALS[owner["kind"]], pod.namespace, owner["name"]))
            thing = self._objects[chain[-1].plural].get((pod.namespace, owner["name"]))
        return chain


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Request counts and objects at one moment: the input of the metrics API."""

    inventory: Inventory
    totals: Mapping[Stream, RequestCounts]
    window_s: float
    moment: datetime

    def single(self, reference: Reference) -> dict[str, Any]:
        """The response to a get: the object's received requests; a list for splits. Raises NotFound."""
        thing = self.inventory.find(reference)
        if reference.plural == _SPLITS:
            return _list(reference.as_json(), self._backends(reference, thing))
        return self._received(reference)

    def listing(self, plural: str, namespace: str, selector: str) -> dict[str, Any]:
        """The response to a list. Raises ValueError for an invalid selector."""
        terms = selectors.parse(selector)
        items: list[dict[str, Any]] = []
        for reference, thing in self.inventory.listed(plural, namespace, terms):
            if plural == _SPLITS:
                items += self._backends(reference, thing)
            else:
                items.append(self._received(reference))
        kind, api_version = KINDS[plural]
        resource = {"apiVersion": api_version, "kind": kind}
        if namespace:
            resource["namespace"] = namespace
        return _list(resource, items, terms)

    def edges(self, reference: Reference) -> dict[str, Any]:
        """The response for the sub-resource: the object's traffic by peer. Raises NotFound."""
        self.inventory.find(reference)
        if reference.plural == _SPLITS:
            raise NotFound("a split has no edges")
        tallies: dict[tuple[str, Reference], list[RequestCounts]] = {}
        for stream, tally in self.totals.items():
            if stream.peer is None or reference not in self._of(reference.plural, stream.pod):
                continue
            for peer in self.inventory.peers(reference.plural, stream.peer):
                tallies.setdefault((stream.direction, peer), []).append(tally)
        items = [
            self._document(reference, _edge(direction, peer), total(parts))
            for (direction, peer), parts in sorted(tallies.items(), key=lambda item: item[0])
        ]
        return _list(reference.as_json(), items)

    def _of(self, plural: str, pod: Workload) -> tuple[Reference, ...]:
        return self.inventory.containing(plural, pod)

    def _received(self, reference: Reference) -> dict[str, Any]:
        tally = total(
            tally
            for stream, tally in self.totals.items()
            if stream.direction == "in" and reference in self._of(reference.plural, stream.pod)
        )
        return self._document(reference, _edge("in", None), tally)

    def _backends(self, reference: Reference, split: Object) -> list[dict[str, Any]]:
        spec = split.get("spec", {})
        apex = str(spec.get("service", "")).split(".")[0]
        items = []
        for backend in spec.get("backends", ()):
            tally = total(
                tally
                for stream, tally in self.totals.items()
                if stream.direction == "out"
                and stream.route == f"split/{reference.namespace}/{reference.name}"
                and _is_service(stream.cluster, reference.namespace, backend["service"])
            )
            edge = {"direction": "from", "side": "client", "resource": {}}
            document = self._document(reference, edge, tally)
            document["backend"] = {
                "apex": apex,
                "name": backend["service"],
                "weight": backend.get("weight", 0),
            }
            items.append(document)
        return items

    def _document(
        self, reference: Reference, edge: Mapping[str, Any], tally: RequestCounts
    ) -> dict[str, Any]:
        metadata = {"name": reference.name}
        if reference.namespace:
            metadata["namespace"] = reference.namespace
        return {
            "apiVersion": API_VERSION,
            "kind": "TrafficMetrics",
            "metadata": metadata,
            "resource": reference.as_json(),
            "edge": dict(edge),
            "timestamp": self.moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "window": f"{self.window_s:g}s",
            "metrics": _metrics(tally),
        }


def discovery() -> dict[str, Any]:
    """The APIResourceList of the group version."""
    resources = []
    for plural in KINDS:
        entry = {"singularName": "", "namespaced": plural not in CLUSTER_SCOPED, "kind": "TrafficMetrics"}
        resources.append({"name": plural, **entry, "verbs": ["get", "list"]})
        if plural != _SPLITS:
            resources.append({"name": f"{plural}/edges", **entry, "verbs": ["get", "list"]})
    return {
        "apiVersion": "v1",
        "kind": "APIResourceList",
        "groupVersion": API_VERSION,
        "resources": resources,
    }


def group() -> dict[str, Any]:
    """The APIGroup."""
    version = {"groupVersion": API_VERSION, "version": METRICS_VERSION}
    return {
        "apiVersion": "v1",
        "kind": "APIGroup",
        "name": METRICS_GROUP,
        "versions": [version],
        "preferredVersion": version,
    }


def _list(
    resource: Mapping[str, str], items: list[dict[str, Any]], terms: tuple[selectors.Term, ...] = ()
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "TrafficMetricsList",
        "metadata": {},
        "resource": dict(resource),
        "items": items,
    }
    if terms:
        document["selector"] = selectors.as_json(terms)
    return document


def _edge(direction: str, peer: Reference | None) -> dict[str, Any]:
    resource = peer.as_json() if peer is not None else {}
    if direction == "in":
        return {"direction": "from", "side": "server", "resource": resource}
    return {"direction": "to", "side": "client", "resource": resource}


def _metrics(tally: RequestCounts) -> list[dict[str, str]]:
    latencies = [
        {
            "name": f"p{percent}_response_latency",
            "unit": "seconds",
            "value": _seconds(tally.percentile(percent)),
        }
        for percent in (99, 90, 50)
    ]
    return [
        *latencies,
        {"name": "success_count", "value": str(tally.successes)},
        {"name": "failure_count", "value": str(tally.failures)},
    ]


def _seconds(milliseconds: float) -> str:
    """A latency as a quantity in seconds, to the microsecond: 10 ms is "10m", 1.5 ms is "1500u"."""
    micro = round(milliseconds * 1000)
    return f"{micro // 1000}m" if micro % 1000 == 0 else f"{micro}u"


def _is_service(name: str, namespace: str, service: str) -> bool:
    """Whether a cluster (`outbound|<namespace>|<service>|<port>`) belongs to a service."""
    parts = name.split("|")
    return parts[:1] == ["outbound"] and parts[1:3] == [namespace, service]

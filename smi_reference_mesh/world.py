"""The world: all Kubernetes objects that decide how the reference mesh behaves, as one immutable value.

The control plane keeps a world up to date; the compiler reads it and nothing else. Objects stay plain JSON,
as the API server delivers them, so that a world can be written down in a test, stored, and spoiled by a
fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from smi_reference_mesh.names import INGRESS, INJECT_LABEL, INJECTED, STATUS_ANNOTATION, UDP_PORTS

Object = Mapping[str, Any]
"""A Kubernetes object as plain JSON."""

ACCESS_ANNOTATION = "reference.smi-conformance.dev/access"
"""Annotation: `permissive` on a namespace takes its pods out of access control."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object that a world is made of, in the version that the API server stores."""

    plural: str
    group: str
    version: str
    namespaced: bool = True

    @property
    def key(self) -> str:
        """Its key in `World.objects`."""
        return self.plural

    @property
    def api_version(self) -> str:
        """As `apiVersion` is written in a manifest."""
        return f"{self.group}/{self.version}" if self.group else self.version


KINDS: tuple[Kind, ...] = (
    Kind("namespaces", "", "v1", namespaced=False),
    Kind("pods", "", "v1"),
    Kind("services", "", "v1"),
    Kind("endpointslices", "discovery.k8s.io", "v1"),
    Kind("ingresses", "networking.k8s.io", "v1"),
    Kind("trafficsplits", "split.smi-spec.io", "v1alpha4"),
    Kind("traffictargets", "access.smi-spec.io", "v1alpha3"),
    Kind("identitybindings", "access.smi-spec.io", "v1alpha4"),
    Kind("httproutegroups", "specs.smi-spec.io", "v1alpha4"),
    Kind("tcproutes", "specs.smi-spec.io", "v1alpha4"),
    Kind("udproutes", "specs.smi-spec.io", "v1alpha4"),
)


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """All objects of one moment, by plural name. A missing key means that there are none of that kind.

    Worlds are compared by identity: they are large, never changed in place, and what is derived from one is
    cached.
    """

    objects: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)

    def of(self, plural: str) -> tuple[Object, ...]:
        """The objects of one kind, in the order in which they were given."""
        return self.objects.get(plural, ())

    def replacing(self, plural: str, objects: Iterable[Object]) -> World:
        """The same world with other objects of one kind."""
        return World({**self.objects, plural: tuple(objects)})


@dataclass(frozen=True, slots=True, order=True)
class Workload:
    """Whom a configuration is for: a pod."""

    namespace: str
    name: str


def namespace_of(thing: Object) -> str:
    """The namespace of an object; empty for one that has none."""
    return str(thing.get("metadata", {}).get("namespace") or "")


def name_of(thing: Object) -> str:
    """The name of an object."""
    return str(thing.get("metadata", {}).get("name") or "")


def labels_of(thing: Object) -> Mapping[str, str]:
    """The labels of an object."""
    labels: Mapping[str, str] = thing.get("metadata", {}).get("labels") or {}
    return labels


def annotations_of(thing: Object) -> Mapping[str, str]:
    """The annotations of an object."""
    annotations: Mapping[str, str] = thing.get("metadata", {}).get("annotations") or {}
    return annotations


def is_meshed(pod: Object) -> bool:
    """Whether a pod has a sidecar, by the mark that the injector left on it."""
    return annotations_of(pod).get(STATUS_ANNOTATION) == INJECTED


def is_ingress(pod: Object) -> bool:
    """Whether a pod is an ingress of the mesh: a client of its services that takes calls from outside."""
    return annotations_of(pod).get(STATUS_ANNOTATION) == INGRESS


def is_enabled(namespace: Object) -> bool:
    """Whether new pods of a namespace join the mesh."""
    return labels_of(namespace).get(INJECT_LABEL) == "enabled"


def is_permissive(namespace: Object) -> bool:
    """Whether pods of a namespace are open to all callers, with and without an identity."""
    return annotations_of(namespace).get(ACCESS_ANNOTATION) == "permissive"


def account_of(pod: Object) -> str:
    """The ServiceAccount that a pod runs under."""
    return str(pod.get("spec", {}).get("serviceAccountName") or "default")


def container_ports(pod: Object, protocol: str) -> Iterator[tuple[str, int]]:
    """Names and numbers of the ports of a protocol that the containers of a pod declare, in their order."""
    containers: list[Mapping[str, Any]] = pod.get("spec", {}).get("containers") or []
    for container in containers:
        for port in container.get("ports") or ():
            if port.get("protocol", "TCP") == protocol:
                yield port.get("name") or "", int(port["containerPort"])


def udp_ports_of(pod: Object) -> tuple[int, ...]:
    """The UDP ports that a pod declares, as many of them as its sidecar takes."""
    numbers = dict.fromkeys(number for _, number in container_ports(pod, "UDP"))
    return tuple(numbers)[:UDP_PORTS]

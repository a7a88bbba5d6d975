"""Labels and annotations that decide whether a namespace or a pod belongs to the mesh."""

from __future__ import annotations

from smi_reference_mesh.kube.objects import Object, annotations_of, container_ports, labels_of
from smi_reference_mesh.names import INGRESS, INJECT_LABEL, INJECTED, STATUS_ANNOTATION, UDP_PORTS

ACCESS_ANNOTATION = "reference.smi-conformance.dev/access"
"""Annotation: `permissive` on a namespace exempts its pods from access control."""


def is_meshed(pod: Object) -> bool:
    """Whether the injector gave a pod a sidecar."""
    return annotations_of(pod).get(STATUS_ANNOTATION) == INJECTED


def is_ingress(pod: Object) -> bool:
    """Whether a pod is an ingress of the mesh: a client of its services that accepts traffic from outside."""
    return annotations_of(pod).get(STATUS_ANNOTATION) == INGRESS


def is_enabled(namespace: Object) -> bool:
    """Whether new pods of a namespace join the mesh."""
    return labels_of(namespace).get(INJECT_LABEL) == "enabled"


def is_permissive(namespace: Object) -> bool:
    """Whether pods of a namespace accept all callers, with and without an identity."""
    return annotations_of(namespace).get(ACCESS_ANNOTATION) == "permissive"


def udp_ports_of(pod: Object) -> tuple[int, ...]:
    """The UDP ports that a pod declares, up to the number that its sidecar supports."""
    numbers = dict.fromkeys(number for _, number in container_ports(pod, "UDP"))
    return tuple(numbers)[:UDP_PORTS]

"""Kubernetes objects as plain JSON, and the fields that the mesh reads from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
"""A Kubernetes object as plain JSON."""


@dataclass(frozen=True, slots=True, order=True)
class Workload:
    """The namespace and name of a pod, as the owner of a configuration."""

    namespace: str
    name: str


def namespace_of(thing: Object) -> str:
    """The namespace of an object; empty for a cluster-scoped one."""
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


def account_of(pod: Object) -> str:
    """The ServiceAccount of a pod."""
    return str(pod.get("spec", {}).get("serviceAccountName") or "default")


def container_ports(pod: Object, protocol: str) -> Iterator[tuple[str, int]]:
    """Names and numbers of the ports that a pod's containers declare for a protocol, in their order."""
    containers: list[Mapping[str, Any]] = pod.get("spec", {}).get("containers") or []
    for container in containers:
        for port in container.get("ports") or ():
            if port.get("protocol", "TCP") == protocol:
                yield port.get("name") or "", int(port["containerPort"])

"""TrafficSplit of all versions. Source: apis/traffic-split of the specification."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from smi_reference_mesh.kube.objects import Object, name_of, namespace_of
from smi_reference_mesh.smi.model import Backend, Split
from smi_reference_mesh.smi.parsing import Report, Unreadable, entries, mapping, number, quantity, text

_CLUSTER_SUFFIXES = ("", ".svc", ".svc.cluster.local")


def service_name(given: str, namespace: str) -> str:
    """The bare name of a service, given bare, with its namespace, or fully qualified.

    Raises Unreadable for a service of another namespace.
    """
    name, dot, rest = given.rstrip(".").partition(".")
    if dot and rest not in {namespace + suffix for suffix in _CLUSTER_SUFFIXES}:
        raise Unreadable(f"{given!r} is not a service of namespace {namespace}")
    return name


def split(source: Object, report: Report) -> Split:
    """A TrafficSplit; a service listed twice gets the sum of its weights. Raises Unreadable."""
    namespace = namespace_of(source)
    spec = mapping(source, "spec")
    read_weight = quantity if str(source.get("apiVersion", "")).endswith("/v1alpha1") else number
    weights: dict[str, Fraction] = {}
    for entry in entries(spec, "backends"):
        service = service_name(text(entry, "service"), namespace)
        if service in weights:
            report(f"backend {service} is listed more than once; its weights are added")
        weights[service] = weights.get(service, Fraction(0)) + read_weight(entry.get("weight"))
    if not weights:
        raise Unreadable("a split without backends has no effect")
    return Split(
        namespace=namespace,
        name=name_of(source),
        created=str(mapping(source, "metadata").get("creationTimestamp") or ""),
        root=service_name(text(spec, "service"), namespace),
        backends=tuple(Backend(service, weight) for service, weight in weights.items()),
        groups=_groups(spec, report),
    )


def _groups(spec: Mapping[str, Any], report: Report) -> tuple[str, ...] | None:
    given = entries(spec, "matches")
    groups = []
    for entry in given:
        if entry.get("kind") == "HTTPRouteGroup":
            groups.append(text(entry, "name"))
        else:
            report(f"matches of kind {entry.get('kind')!r} select nothing")
    # By the given list: a split with invalid references only must not become one without conditions.
    return tuple(groups) if given else None

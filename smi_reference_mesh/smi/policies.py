"""All SMI objects of a snapshot, parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from smi_reference_mesh.kube.objects import Object, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.smi.model import Binding, PortRoute, Problem, RouteGroup, Split, Target
from smi_reference_mesh.smi.parsing import Report, Unreadable
from smi_reference_mesh.smi.routes import port_route, route_group
from smi_reference_mesh.smi.splits import split
from smi_reference_mesh.smi.targets import binding, target

_Model = TypeVar("_Model")
Name = tuple[str, str]
"""Namespace and name of an object."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The SMI objects of a snapshot, and the problems found in them."""

    splits: Mapping[Name, Split]
    targets: Mapping[Name, Target]
    bindings: Mapping[Name, Binding]
    groups: Mapping[Name, RouteGroup]
    tcp_routes: Mapping[Name, PortRoute]
    udp_routes: Mapping[Name, PortRoute]
    problems: tuple[Problem, ...]


def policies_of(snapshot: ClusterSnapshot) -> Policies:
    """Parse all SMI objects of a snapshot; never raises for an object."""
    problems: list[Problem] = []
    return Policies(
        splits=_read(snapshot, "trafficsplits", "TrafficSplit", split, problems),
        targets=_read(snapshot, "traffictargets", "TrafficTarget", target, problems),
        bindings=_read(snapshot, "identitybindings", "IdentityBinding", binding, problems),
        groups=_read(snapshot, "httproutegroups", "HTTPRouteGroup", route_group, problems),
        tcp_routes=_read(snapshot, "tcproutes", "TCPRoute", port_route, problems),
        udp_routes=_read(snapshot, "udproutes", "UDPRoute", port_route, problems),
        problems=tuple(sorted(problems)),
    )


def _read(
    snapshot: ClusterSnapshot,
    plural: str,
    kind: str,
    parse: Callable[[Object, Report], _Model],
    problems: list[Problem],
) -> dict[Name, _Model]:
    read: dict[Name, _Model] = {}
    for source in sorted(snapshot.of(plural), key=lambda each: (namespace_of(each), name_of(each))):
        name = namespace_of(source), name_of(source)
        report = partial(_report, problems, kind, name)
        try:
            read[name] = parse(source, report)
        except Unreadable as odd:
            report(str(odd))
    return read


def _report(problems: list[Problem], kind: str, name: Name, message: str) -> None:
    problems.append(Problem(kind, *name, message))

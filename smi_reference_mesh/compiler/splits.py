"""How the traffic of a root service is divided: TrafficSplits as routes and as weighted clusters.

Where the specification is silent: splits of one root with conditions come before those without, older ones
before younger ones; the share of a backend that does not exist, or has no endpoints, fails; a split whose
weights are all zero leaves no destination; a split with conditions does not apply to raw TCP, which has
nothing to match.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON
from smi_reference_mesh.compiler.mesh import Mesh, Name, Port, Service
from smi_reference_mesh.compiler.request_matching import route_match
from smi_reference_mesh.smi.model import Match, Problem, Split

# Envoy adds weights up in 32 bits.
_LARGEST_SUM = 2**32 - 1


def outbound_name(namespace: str, service: str, port: int) -> str:
    """The name of the cluster, the routes and the filter chain of a service port."""
    return f"outbound|{namespace}|{service}|{port}"


def splits_by_root(mesh: Mesh) -> dict[Name, tuple[Split, ...]]:
    """The splits of each root service, in the order in which they are tried."""
    found: dict[Name, list[Split]] = {}
    for split in mesh.policies.splits.values():
        found.setdefault((split.namespace, split.root), []).append(split)
    return {root: tuple(sorted(splits, key=_precedence)) for root, splits in found.items()}


def _precedence(split: Split) -> tuple[bool, str, str]:
    return split.groups is None, split.created, split.name


def whole_weights(weights: Mapping[str, Fraction]) -> dict[str, int]:
    """The same ratios in whole numbers that Envoy can add up; what is positive stays positive."""
    denominator = math.lcm(*(weight.denominator for weight in weights.values()))
    whole = {name: int(weight * denominator) for name, weight in weights.items()}
    divisor = math.gcd(*whole.values()) or 1
    whole = {name: weight // divisor for name, weight in whole.items()}
    total = sum(whole.values())
    if total <= _LARGEST_SUM:
        return whole
    room = _LARGEST_SUM - len(whole)
    return {name: max(1, weight * room // total) if weight else 0 for name, weight in whole.items()}


def shares(mesh: Mesh, split: Split, port: int) -> dict[str, int]:
    """The clusters that a split divides a port's traffic over, with their weights.

    Leaves out a backend that exists and does not expose the port: split v1alpha4 § Ports.
    """
    weights = {}
    for backend in split.backends:
        service = mesh.services.get((split.namespace, backend.service))
        if service is None or service.port(port):
            weights[outbound_name(split.namespace, backend.service, port)] = backend.weight
    return whole_weights(weights)


def http_routes(mesh: Mesh, service: Service, port: Port, splits: Sequence[Split]) -> list[JSON]:
    """The routes of a service port: those of its splits, then the service itself."""
    routes: list[JSON] = []
    for split in splits:
        name = f"split/{split.namespace}/{split.name}"
        weights = shares(mesh, split, port.number)
        action = envoy.to_clusters(weights) if any(weights.values()) else envoy.nowhere()
        if split.groups is None:
            return [*routes, envoy.route(name, envoy.ANYTHING, action)]
        routes += [envoy.route(name, route_match(match), action) for match in matches(mesh, split)]
    itself = envoy.to_cluster(outbound_name(service.namespace, service.name, port.number))
    return [*routes, envoy.route("root", envoy.ANYTHING, itself)]


def matches(mesh: Mesh, split: Split) -> Iterator[Match]:
    """What selects the requests of a split with conditions; a group that does not exist selects none."""
    for name in split.groups or ():
        group = mesh.policies.groups.get((split.namespace, name))
        if group is not None:
            yield from group.matches


def tcp_shares(mesh: Mesh, service: Service, port: Port, splits: Sequence[Split]) -> dict[str, int]:
    """The clusters that connections are divided over; empty where there is no destination."""
    for split in splits:
        if split.groups is None:
            return {name: weight for name, weight in shares(mesh, split, port.number).items() if weight}
    return {outbound_name(service.namespace, service.name, port.number): 1}


def problems(mesh: Mesh) -> Iterator[Problem]:
    """What the splits of a mesh ask for and do not get."""
    for splits in splits_by_root(mesh).values():
        for split in splits:
            for message in _complaints(mesh, split):
                yield Problem("TrafficSplit", split.namespace, split.name, message)
        for hidden in [split for split in splits if split.groups is None][1:]:
            message = f"another split of {hidden.root} is older and takes all its traffic"
            yield Problem("TrafficSplit", hidden.namespace, hidden.name, message)


def _complaints(mesh: Mesh, split: Split) -> Iterator[str]:
    for name in split.groups or ():
        if (split.namespace, name) not in mesh.policies.groups:
            yield f"HTTPRouteGroup {name} does not exist and selects nothing"
    root = mesh.services.get((split.namespace, split.root))
    if root is None:
        yield f"service {split.root} does not exist in a meshed namespace"
        return
    for backend in split.backends:
        service = mesh.services.get((split.namespace, backend.service))
        if service is None:
            yield f"backend {backend.service} does not exist"
            continue
        for port in root.ports:
            if service.port(port.number) is None:
                yield f"backend {backend.service} is left out on port {port.number}, which it does not expose"

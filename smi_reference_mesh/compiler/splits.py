"""Division of a root service's traffic: TrafficSplits as routes and weighted clusters.

Where the specification is silent: splits of one root with conditions precede those without, older ones
precede younger ones; the share of a backend that does not exist, or has no endpoints, fails; a split whose
weights are all zero has no destination; a split with conditions does not apply to raw TCP, which has nothing
to match.
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

# Envoy sums weights in 32 bits.
_LARGEST_SUM = 2**32 - 1


def outbound_name(namespace: str, service: str, port: int) -> str:
    """The name of the cluster, the routes and the filter chain of a service port."""
    return f"outbound|{namespace}|{service}|{port}"


def splits_by_root(mesh: Mesh) -> dict[Name, tuple[Split, ...]]:
    """The splits of each root service, in their order of precedence."""
    found: dict[Name, list[Split]] = {}
    for split in mesh.policies.splits.values():
        found.setdefault((split.namespace, split.root), []).append(split)
    return {root: tuple(sorted(splits, key=_precedence)) for root, splits in found.items()}


def _precedence(split: Split) -> tuple[bool, str, str]:
    return split.groups is None, split.created, split.name


def whole_weights(weights: Mapping[str, Fraction]) -> dict[str, int]:
    """The same ratios in integers whose sum Envoy supports; positive weights stay positive."""
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
    """The clusters of a split on a port, with their weights.

    Leaves out a backend that exists without exposing the port: split v1alpha4 § Ports.
    """
    weights = {}
    for backend in split.backends:
        service = mesh.services.get((split.namespace, backend.service))
        if service is None or service.port(port):
            weights[outbound_name(split.namespace, backend.service, port)] = backend.weight
    return whole_weights(weights)


def http_routes(mesh: Mesh, service: Service, port: Port, splits: Sequence[Split]) -> list[JSON]:
    """The routes of a service port: those of its splits, then the service's own."""
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
    """The conditions of a split; a missing group selects nothing."""
    for name in split.groups or ():
        group = mesh.policies.groups.get((split.namespace, name))
        if group is not None:
            yield from group.matches


def tcp_shares(mesh: Mesh, service: Service, port: Port, splits: Sequence[Split]) -> dict[str, int]:
    """The clusters that connections are divided over; empty without a destination."""
    for split in splits:
        if split.groups is None:
            return {name: weight for name, weight in shares(mesh, split, port.number).items() if weight}
    return {outbound_name(service.namespace, service.name, port.number): 1}


def problems(mesh: Mesh) -> Iterator[Problem]:
    """The unresolvable references of splits, and splits hidden by older ones."""
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

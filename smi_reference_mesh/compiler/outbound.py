"""The outbound half: routes for calls from a meshed pod. The same for all workloads of a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, file_name
from smi_reference_mesh.compiler.mesh import Mesh, Port, Service, mesh_of
from smi_reference_mesh.compiler.splits import (
    http_routes,
    outbound_name,
    problems,
    splits_by_root,
    tcp_shares,
)
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.names import OUTBOUND_PORT
from smi_reference_mesh.smi.model import Problem

PASSTHROUGH = "passthrough"
PODS = "pods"
BLACKHOLE = "blackhole"


@dataclass(frozen=True, slots=True)
class Outbound:
    """The parts of a configuration for calls from a workload."""

    listener: JSON
    clusters: tuple[JSON, ...]
    routes: Mapping[str, JSON]
    problems: tuple[Problem, ...]


@lru_cache(maxsize=4)
def outbound_of(snapshot: ClusterSnapshot, xds_directory: str) -> Outbound:
    """Compile the outbound half; cached by snapshot."""
    mesh = mesh_of(snapshot)
    splits = splits_by_root(mesh)
    chains: list[JSON] = []
    routes: dict[str, JSON] = {}
    clusters: list[JSON] = []
    for service, port in _service_ports(mesh):
        name = outbound_name(service.namespace, service.name, port.number)
        behind = service.endpoints.get(port.name, ())
        endpoints = [(each.ip, each.port, each.meshed) for each in behind]
        clusters.append(envoy.service_cluster(name, endpoints, service.identities, xds_directory))
        match = _match(service, port)
        if match is None or _is_taken(match, chains):
            continue
        own = splits.get((service.namespace, service.name), ())
        if port.protocol == "http":
            routes[name] = envoy.route_configuration(name, http_routes(mesh, service, port, own))
            handler = envoy.http("out", name, f"{xds_directory}/{file_name('rds', name)}")
        else:
            handler = envoy.tcp_proxy("out", tcp_shares(mesh, service, port, own) or {BLACKHOLE: 1})
        chains.append({"name": name, "filter_chain_match": match, "filters": [handler]})
    return Outbound(
        listener=_listener([*chains, *_pod_chains(mesh, _ports_of(chains))]),
        clusters=(*clusters, *_common_clusters(xds_directory)),
        routes=routes,
        problems=tuple(sorted({*mesh.policies.problems, *problems(mesh)})),
    )


def _service_ports(mesh: Mesh) -> Iterator[tuple[Service, Port]]:
    for service in mesh.services.values():
        for port in service.ports:
            yield service, port


def _match(service: Service, port: Port) -> JSON | None:
    """The filter chain match of a service port; None for a headless service, which has no address."""
    if not service.addresses:
        return None
    return {**_ranges(service.addresses), "destination_port": port.number}


def _ranges(addresses: tuple[str, ...]) -> JSON:
    return {"prefix_ranges": [envoy.exactly(each) for each in addresses]}


def _is_taken(match: JSON, chains: list[JSON]) -> bool:
    # While a deleted service remains in the snapshot another may already have its address; Envoy would reject
    # both.
    return any(
        match["destination_port"] == other["destination_port"]
        and any(each in other["prefix_ranges"] for each in match["prefix_ranges"])
        for other in (chain["filter_chain_match"] for chain in chains)
    )


def _ports_of(chains: Iterable[JSON]) -> Iterator[int]:
    return (chain["filter_chain_match"]["destination_port"] for chain in chains)


def _pod_chains(mesh: Mesh, ports: Iterable[int]) -> Iterator[JSON]:
    """The chains of calls to pod addresses, which use the caller's identity as well.

    Envoy matches ports before addresses, without backtracking: a port with a chain of its own needs one for
    pods too. Source: config.listener.v3.FilterChainMatch.
    """
    if not mesh.meshed_addresses:
        return
    handlers = [envoy.tcp_proxy("out", {PODS: 1})]
    addresses = _ranges(mesh.meshed_addresses)
    yield {"name": PODS, "filter_chain_match": addresses, "filters": handlers}
    for port in sorted(set(ports)):
        match = {**addresses, "destination_port": port}
        yield {"name": f"{PODS}|{port}", "filter_chain_match": match, "filters": handlers}


def _listener(chains: list[JSON]) -> JSON:
    # Excludes the listener's own port, which would loop through passthrough.
    itself = {
        "name": BLACKHOLE,
        "filter_chain_match": {"destination_port": OUTBOUND_PORT},
        "filters": [envoy.tcp_proxy("out", {BLACKHOLE: 1})],
    }
    return {
        "name": "outbound",
        "traffic_direction": "OUTBOUND",
        "address": envoy.address("127.0.0.1", OUTBOUND_PORT),
        "listener_filters": [envoy.listener_filter_original_dst()],
        "filter_chains": [*chains, itself],
        "default_filter_chain": {"name": PASSTHROUGH, "filters": [envoy.tcp_proxy("out", {PASSTHROUGH: 1})]},
    }


def _common_clusters(xds_directory: str) -> tuple[JSON, ...]:
    mesh_tls = envoy.client_tls([envoy.ANY_OF_TRUST_DOMAIN], xds_directory)
    return (
        envoy.original_destination(PODS, transport_socket=mesh_tls),
        envoy.original_destination(PASSTHROUGH),
        envoy.static_cluster(BLACKHOLE),
    )

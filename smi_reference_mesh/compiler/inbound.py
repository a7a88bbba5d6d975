"""The inbound half: listeners, clusters and access control for calls to a workload. Differs by workload."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from smi_reference_mesh.compiler import access, envoy
from smi_reference_mesh.compiler.configuration import JSON, file_name
from smi_reference_mesh.compiler.datagrams import datagrams_of
from smi_reference_mesh.compiler.mesh import Mesh, Protocol, protocol_of
from smi_reference_mesh.compiler.outbound import BLACKHOLE
from smi_reference_mesh.kube.objects import Object, Workload, container_ports, namespace_of
from smi_reference_mesh.names import ADMIN_PORT, INBOUND_PASSTHROUGH_SOURCE, INBOUND_PORT, OUTBOUND_PORT
from smi_reference_mesh.smi.model import Problem

INBOUND_PASSTHROUGH = "inbound|passthrough"
OWN_PORTS = (ADMIN_PORT, OUTBOUND_PORT, INBOUND_PORT)


@dataclass(frozen=True, slots=True)
class Inbound:
    """The parts of a configuration for calls to a workload."""

    listeners: tuple[JSON, ...]
    clusters: tuple[JSON, ...]
    routes: Mapping[str, JSON]
    problems: tuple[Problem, ...]


def inbound_name(port: int) -> str:
    """The name of the cluster, the routes and the filter chain of a port that a workload listens on."""
    return f"inbound|{port}"


def inbound_of(mesh: Mesh, workload: Workload, xds_directory: str) -> Inbound:
    """Compile the inbound half of a workload; all ports of an unknown workload are closed."""
    pod = mesh.pods.get((workload.namespace, workload.name))
    granted = () if pod is None else access.grants(mesh, pod)
    enforced = None if workload.namespace in mesh.permissive else granted
    ports = {} if pod is None else listening_ports(mesh, pod)
    writer = _Writer(xds_directory, enforced)
    clusters = [envoy.static_cluster(inbound_name(port), ("127.0.0.1", port)) for port in ports]
    datagrams = [] if pod is None else list(datagrams_of(mesh, pod, enforced))
    return Inbound(
        listeners=(
            _listener([*writer.declared(ports), *writer.undeclared(ports)]),
            *(each.listener for each in datagrams),
        ),
        clusters=(*clusters, *(each.cluster for each in datagrams), _through()),
        routes={
            inbound_name(port): writer.routes(port) for port, spoken in ports.items() if spoken == "http"
        },
        problems=() if pod is None else tuple(access.problems(mesh, pod)),
    )


def listening_ports(mesh: Mesh, pod: Object) -> dict[int, Protocol]:
    """The TCP ports that a pod declares or services target, with the protocol of each.

    A service's protocol takes precedence over the name of a container port, and HTTP over TCP where services
    differ.
    """
    numbers = dict(container_ports(pod, "TCP"))
    declared = {number: protocol_of(name) for name, number in container_ports(pod, "TCP")}
    by_service: dict[int, Protocol] = {}
    for service in mesh.selecting.get((namespace_of(pod), str(pod["metadata"]["name"])), ()):
        for port in service.ports:
            target = port.target if isinstance(port.target, int) else numbers.get(port.target)
            if target is not None and by_service.get(target) != "http":
                by_service[target] = port.protocol
    found = {**declared, **by_service}
    return {number: found[number] for number in sorted(found) if number not in OWN_PORTS}


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes filter chains and routes; `granted` is None without access control."""

    xds_directory: str
    granted: tuple[access.Grant, ...] | None

    def declared(self, ports: Mapping[int, Protocol]) -> Iterator[JSON]:
        """The chains of declared ports, whose protocol is known."""
        for port, protocol in ports.items():
            name, match = inbound_name(port), {"destination_port": port}
            plain = [envoy.tcp_proxy("in", {name: 1})]
            if protocol == "tcp":
                yield from self._raw(name, match, name, port)
                handlers = plain
            else:
                handlers = [self._http(port)]
                yield self._mesh_chain(name, match, handlers, [envoy.ANY_OF_TRUST_DOMAIN])
            if self.granted is None:
                not_tls = {**match, "transport_protocol": "raw_buffer"}
                yield _chain(f"{name}|plaintext", not_tls, handlers)
                yield _chain(f"{name}|other-tls", match, plain)

    def undeclared(self, declared: Collection[int]) -> Iterator[JSON]:
        """The chains of all other ports, which pass connections through unchanged."""
        named = {port for grant in self.granted or () for port in grant.raw.named()}
        for port in sorted(named.difference(declared, OWN_PORTS)):
            yield from self._raw(inbound_name(port), {"destination_port": port}, INBOUND_PASSTHROUGH, port)
        yield from self._raw(INBOUND_PASSTHROUGH, {}, INBOUND_PASSTHROUGH, None)
        if self.granted is None:
            handlers = [envoy.tcp_proxy("in", {INBOUND_PASSTHROUGH: 1})]
            yield _chain(f"{INBOUND_PASSTHROUGH}|plaintext", {}, handlers)

    def routes(self, port: int) -> JSON:
        """The route configuration of an HTTP port, with the access control of its requests."""
        name = inbound_name(port)
        rules = access.ANYONE if self.granted is None else access.http_rules(self.granted, port)
        to_application = envoy.route(name, envoy.ANYTHING, envoy.to_cluster(name))
        override = envoy.http_rbac_override(rules)
        return envoy.route_configuration(name, [to_application], typed_per_filter_config=override)

    def _http(self, port: int) -> JSON:
        path = f"{self.xds_directory}/{file_name('rds', inbound_name(port))}"
        # Access control must judge the path that the application receives.
        canonical = {"normalize_path": True, "merge_slashes": True}
        return envoy.http("in", inbound_name(port), path, http_filters=[envoy.http_rbac()], **canonical)

    def _raw(self, name: str, match: JSON, cluster: str, port: int | None) -> Iterator[JSON]:
        """Chains for raw TCP: one for callers at any address, one per address with additional callers."""
        handlers = [envoy.tcp_proxy("in", {cluster: 1}, **envoy.AFTER_HANDSHAKE)]
        if self.granted is None:
            yield self._mesh_chain(name, match, handlers, [envoy.ANY_OF_TRUST_DOMAIN])
            return
        callers = access.raw_callers(self.granted, port)
        for ip in sorted({caller.ip for caller in callers if caller.ip}):
            source = {**match, "source_prefix_ranges": [envoy.exactly(ip)]}
            yield self._mesh_chain(f"{name}|{ip}", source, handlers, _names(callers, (None, ip)))
        yield self._mesh_chain(name, match, handlers, _names(callers, (None,)))

    def _mesh_chain(self, name: str, match: JSON, handlers: list[JSON], callers: Sequence[JSON]) -> JSON:
        mesh_tls = {"transport_protocol": "tls", "application_protocols": [envoy.ALPN]}
        chain = _chain(name, {**match, **mesh_tls}, handlers)
        return {**chain, "transport_socket": envoy.server_tls(callers, self.xds_directory)}


def _chain(name: str, match: JSON, handlers: list[JSON]) -> JSON:
    return {"name": name, "filter_chain_match": match, "filters": handlers}


def _names(callers: Iterable[access.Caller], addresses: Sequence[str | None]) -> list[JSON]:
    return [{"exact": name} for name in sorted({each.identity for each in callers if each.ip in addresses})]


def _through() -> JSON:
    # Bound to a source address of its own, which interception does not redirect.
    source = {"source_address": {"address": INBOUND_PASSTHROUGH_SOURCE, "port_value": 0}}
    return envoy.original_destination(INBOUND_PASSTHROUGH, upstream_bind_config=source)


def _listener(chains: list[JSON]) -> JSON:
    own = [
        _chain(f"{BLACKHOLE}|{port}", {"destination_port": port}, [envoy.tcp_proxy("in", {BLACKHOLE: 1})])
        for port in OWN_PORTS
    ]
    return {
        "name": "inbound",
        "traffic_direction": "INBOUND",
        "address": envoy.address("0.0.0.0", INBOUND_PORT),  # noqa: S104 - other pods must reach it
        "listener_filters": [envoy.listener_filter_original_dst(), envoy.listener_filter_tls_inspector()],
        # A client that waits for the server to speak first sends no TLS hello. Under access control plaintext
        # is refused anyway; but if this setting varied, each change would drop all connections.
        "listener_filters_timeout": "5s",
        "continue_on_listener_filters_timeout": True,
        "filter_chains": [*chains, *own],
    }

"""Builders for the parts of Envoy's v3 API that the compiler uses, in protobuf's JSON form.

Source: Envoy's API reference of 1.40, by type URL.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

from smi_reference_mesh.compiler.access_log import ACCESS_LOG_FORMAT, Direction
from smi_reference_mesh.compiler.bootstrap import IDENTITY, TRUST, path_source
from smi_reference_mesh.compiler.configuration import JSON
from smi_reference_mesh.names import TRUST_DOMAIN

ALPN = "smi-mesh"
"""The ALPN protocol in a sidecar's TLS hello, which distinguishes mesh TLS from an application's own TLS."""

ANY_OF_TRUST_DOMAIN: JSON = {"prefix": f"spiffe://{TRUST_DOMAIN}/"}
NOBODY: JSON = {"exact": "spiffe://nobody"}

MESH_SOCKET = "mesh"
HTTP_RBAC = "envoy.filters.http.rbac"

# Below the 5 s after which common HTTP servers close an idle connection: the next request must not go out on
# a connection that the server is about to close.
_IDLE = "4s"
_CONNECT_TIMEOUT = "10s"
_NO_LIMIT = 4294967295


def typed(type_name: str, **fields: object) -> JSON:
    """A protobuf Any."""
    return {"@type": f"type.googleapis.com/{type_name}", **fields}


def named(name: str, type_name: str, **fields: object) -> JSON:
    """An extension: a filter, a logger, a transport socket."""
    return {"name": name, "typed_config": typed(type_name, **fields)}


def address(ip: str, port: int) -> JSON:
    """An IP address and TCP port."""
    return {"socket_address": {"address": ip, "port_value": port}}


def udp_address(ip: str, port: int) -> JSON:
    """An IP address and UDP port."""
    return {"socket_address": {"protocol": "UDP", "address": ip, "port_value": port}}


def exactly(ip: str) -> JSON:
    """The CIDR range of a single address."""
    return {"address_prefix": ip, "prefix_len": ipaddress.ip_address(ip).max_prefixlen}


# Filters


def listener_filter_original_dst() -> JSON:
    """Restores the original destination address of a redirected connection."""
    return named(
        "envoy.filters.listener.original_dst",
        "envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
    )


def listener_filter_tls_inspector() -> JSON:
    """Detects TLS and the protocols that its hello offers."""
    return named(
        "envoy.filters.listener.tls_inspector",
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    )


AFTER_HANDSHAKE: JSON = {
    "upstream_connect_mode": "ON_DOWNSTREAM_TLS_HANDSHAKE",
    "max_early_data_bytes": 65536,
}
"""For `tcp_proxy`: connects to the destination only after the caller has authenticated."""


def tcp_proxy(stat_prefix: str, clusters: Mapping[str, int], **more: object) -> JSON:
    """Forwards connections to one cluster, or to several in proportion to their positive weights."""
    if len(clusters) == 1:
        destination: JSON = {"cluster": next(iter(clusters))}
    else:
        shares = [{"name": name, "weight": weight} for name, weight in clusters.items()]
        destination = {"weighted_clusters": {"clusters": shares}}
    return named(
        "envoy.filters.network.tcp_proxy",
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=stat_prefix,
        idle_timeout="0s",
        **destination,
        **more,
    )


def udp_proxy(stat_prefix: str, cluster: str, sources: Iterable[str] | None) -> JSON:
    """Forwards datagrams to a cluster: from these source addresses (at least one), or from all if None."""
    action = {
        "action": named("route", "envoy.extensions.filters.udp.udp_proxy.v3.Route", cluster=cluster),
    }
    source = named(
        "envoy.matching.inputs.source_ip",
        "envoy.extensions.matching.common_inputs.network.v3.SourceIPInput",
    )
    matcher: JSON = (
        {"on_no_match": action}
        if sources is None
        else {
            "matcher_tree": {
                "input": source,
                "exact_match_map": {"map": dict.fromkeys(sorted(sources), action)},
            }
        }
    )
    return named(
        "envoy.filters.udp_listener.udp_proxy",
        "envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig",
        stat_prefix=stat_prefix,
        matcher=matcher,
    )


def http_rbac() -> JSON:
    """Access control of requests: denies everything except what the route configuration allows."""
    return named(
        HTTP_RBAC, "envoy.extensions.filters.http.rbac.v3.RBAC", rules={"action": "ALLOW", "policies": {}}
    )


def http_rbac_override(rules: JSON) -> JSON:
    """The RBAC rules of a route configuration, for `typed_per_filter_config`."""
    per_route = typed("envoy.extensions.filters.http.rbac.v3.RBACPerRoute", rbac={"rules": rules})
    return {HTTP_RBAC: per_route}


def http(direction: Direction, routes: str, xds_path: str, **more: object) -> JSON:
    """Handles HTTP/1 and HTTP/2 by a route configuration that can change during connections.

    Forwards requests unchanged, as far as Envoy can: no request id, no server header, no x-envoy headers.
    `more` are further fields; `http_filters` precede the router.
    """
    filters = [*_as_list(more.pop("http_filters", ())), _router()]
    return named(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=direction,
        rds={"route_config_name": routes, "config_source": path_source(xds_path)},
        http_filters=filters,
        http_protocol_options={"accept_http_10": True},
        generate_request_id=False,
        server_header_transformation="PASS_THROUGH",
        forward_client_cert_details="SANITIZE",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        max_request_headers_kb=96,
        access_log=[_access_log(direction)],
        **more,
    )


def _as_list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _router() -> JSON:
    return named(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        suppress_envoy_headers=True,
    )


def _access_log(direction: Direction) -> JSON:
    return named(
        "envoy.access_loggers.stdout",
        "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"text_format_source": {"inline_string": ACCESS_LOG_FORMAT[direction]}},
    )


# Routes


def route_configuration(name: str, routes: Sequence[JSON], **host: object) -> JSON:
    """Routes for all hosts: the original destination address has already selected the service."""
    everything = {"name": name, "domains": ["*"], "routes": list(routes), **host}
    return {"name": name, "virtual_hosts": [everything], "validate_clusters": False}


def route(name: str, match: JSON, action: JSON) -> JSON:
    """One route; `action` comes from one of the three functions below."""
    return {"name": name, "match": match, **action}


ANYTHING: JSON = {"prefix": "/"}


def to_cluster(cluster: str) -> JSON:
    """Forward to one cluster, without a timeout."""
    return {"route": {"cluster": cluster, "timeout": "0s"}}


def to_clusters(weights: Mapping[str, int]) -> JSON:
    """Divide requests at random in proportion to weights, at least one of which is positive."""
    shares = [{"name": name, "weight": weight} for name, weight in weights.items()]
    return {"route": {"weighted_clusters": {"clusters": shares}, "timeout": "0s"}}


def nowhere() -> JSON:
    """Respond with 503, for lack of a destination."""
    return {"direct_response": {"status": 503}}


# Clusters


def cluster(name: str, kind: str, **more: object) -> JSON:
    """A cluster that uses the downstream HTTP version towards its endpoints; without limits of its own."""
    return {
        "name": name,
        "type": kind,
        "connect_timeout": _CONNECT_TIMEOUT,
        "circuit_breakers": {"thresholds": [_unlimited("DEFAULT"), _unlimited("HIGH")]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                common_http_protocol_options={"idle_timeout": _IDLE},
                use_downstream_protocol_config={"http_protocol_options": {}, "http2_protocol_options": {}},
            )
        },
        **more,
    }


def _unlimited(priority: str) -> JSON:
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"priority": priority, **dict.fromkeys(limits, _NO_LIMIT)}


def static_cluster(name: str, *endpoints: tuple[str, int]) -> JSON:
    """A cluster of fixed endpoints; refuses everything without any."""
    return cluster(
        name, "STATIC", load_assignment=load_assignment(name, [(*each, False) for each in endpoints])
    )


def original_destination(name: str, **more: object) -> JSON:
    """A cluster that connects to the connection's original destination."""
    return cluster(name, "ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED", **more)


def service_cluster(
    name: str, endpoints: Iterable[tuple[str, int, bool]], identities: Iterable[str], xds_directory: str
) -> JSON:
    """A cluster of a service's endpoints; those in the mesh must present one of the identities.

    The endpoints are inline: an EDS subscription for each service costs Envoy more than replacing a cluster,
    since each request repeats Envoy's long description of itself.
    """
    exact = [{"exact": identity} for identity in sorted(identities)]
    return cluster(
        name,
        "STATIC",
        load_assignment=load_assignment(name, endpoints),
        transport_socket_matches=[
            {
                "name": MESH_SOCKET,
                "match": {MESH_SOCKET: "true"},
                "transport_socket": client_tls(exact, xds_directory),
            }
        ],
    )


def load_assignment(name: str, endpoints: Iterable[tuple[str, int, bool]]) -> JSON:
    """The endpoints (address, port, whether meshed) of a cluster."""
    return {
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [_lb_endpoint(*each) for each in endpoints]}],
    }


def _lb_endpoint(ip: str, port: int, meshed: bool) -> JSON:
    endpoint: JSON = {"endpoint": {"address": address(ip, port)}}
    if meshed:
        mark = {"envoy.transport_socket_match": {MESH_SOCKET: "true"}}
        endpoint["metadata"] = {"filter_metadata": mark}
    return endpoint


# Mutual TLS


def client_tls(names: Sequence[JSON], xds_directory: str) -> JSON:
    """Mesh TLS to a server that must present one of the names (string matchers on its SPIFFE ID)."""
    return named(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        common_tls_context={**_mutual(names or [NOBODY], xds_directory), "alpn_protocols": [ALPN]},
    )


def server_tls(names: Sequence[JSON], xds_directory: str) -> JSON:
    """Mesh TLS for clients, who must present one of the names (string matchers on their SPIFFE ID).

    Offers no ALPN protocol: Envoy would take the negotiated one for the HTTP version instead of detecting it.
    """
    return named(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        require_client_certificate=True,
        common_tls_context=_mutual(names or [NOBODY], xds_directory),
    )


def _mutual(names: Sequence[JSON], xds_directory: str) -> JSON:
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificate_sds_secret_configs": [_secret(IDENTITY, xds_directory)],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": name} for name in names],
            },
            "validation_context_sds_secret_config": _secret(TRUST, xds_directory),
        },
    }


def _secret(name: str, xds_directory: str) -> JSON:
    return {"name": name, "sds_config": path_source(f"{xds_directory}/sds/{name}.json")}

"""Faults of HTTP versions: rules that apply to one of them only, and undetected gRPC."""

from __future__ import annotations

import copy
from typing import Any

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.faults.building_blocks import FaultyObjects, every, with_listeners, with_routes
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot

_VERSION = "x-version-of-http"
_IS_HTTP2: JSON = {"name": _VERSION, "string_match": {"exact": "HTTP/2"}}


def _protocol(operator: str) -> JSON:
    """The condition that a request's protocol is HTTP/2 (`==`) or is not (`!=`).

    Source: Envoy's API reference, config.rbac.v3.Policy.
    """
    return {
        "call_expr": {
            "function": f"_{operator}_",
            "args": [
                {"select_expr": {"operand": {"ident_expr": {"name": "request"}}, "field": "protocol"}},
                {"const_expr": {"string_value": "HTTP/2"}},
            ],
        }
    }


def _http2_open(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
    def open_to_all(name: str, routes: JSON) -> None:
        for rules in every(routes, "policies"):
            anybody = {"permissions": [{"any": True}], "principals": [{"any": True}]}
            rules["policies"]["http2"] = {**anybody, "condition": _protocol("==")}

    return with_routes(configuration, "inbound|", open_to_all)


def _capitals(snapshot: ClusterSnapshot) -> set[str]:
    """The names of header filters with capitals, in Envoy's lower case."""
    return {
        name.lower()
        for group in snapshot.of("httproutegroups")
        for match in group["spec"].get("matches") or ()
        for name in match.get("headers") or ()
        if name != name.lower()
    }


def _http2_names_compared(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    names = _capitals(snapshot)

    def bind(name: str, routes: JSON) -> None:
        for rules in every(routes, "policies"):
            apart: JSON = {}
            for key, policy in rules["policies"].items():
                for position, permission in enumerate(policy["permissions"]):
                    asked = {one["header"]["name"].lower() for one in every(permission, "header")}
                    condition = {"condition": _protocol("!=")} if asked & names else {}
                    apart[f"{key}/{position}"] = {**policy, "permissions": [permission], **condition}
            rules["policies"] = apart

    return with_routes(configuration, "inbound|", bind)


def _http1_only(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
    def close(listener: JSON) -> None:
        if listener["name"] == "inbound":
            for handler in every(listener, "rds"):
                handler["codec_type"] = "HTTP1"

    return with_listeners(configuration, close)


def _version_told(configuration: Configuration) -> Configuration:
    """Copies the HTTP version of each outgoing request into a header, since routes cannot match it directly.

    Source: Envoy's API reference, HttpConnectionManager.early_header_mutation_extensions.
    """
    header = {"key": _VERSION, "value": "%PROTOCOL%"}
    telling = envoy.named(
        "envoy.http.early_header_mutation.header_mutation",
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[{"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}],
    )

    def tell(listener: JSON) -> None:
        if listener["name"] == "outbound":
            for handler in every(listener, "rds"):
                handler["early_header_mutation_extensions"] = [telling]

    return with_listeners(configuration, tell)


def _http1_divided_only(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    def undivided(name: str, routes: JSON) -> None:
        for host in routes["virtual_hosts"]:
            match = {**envoy.ANYTHING, "headers": [_IS_HTTP2]}
            host["routes"] = [envoy.route("undivided", match, envoy.to_cluster(name)), *host["routes"]]

    return with_routes(_version_told(configuration), "outbound|", undivided)


def _http2_in_equal_parts(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    return _in_equal_parts(_version_told(configuration), _IS_HTTP2, "http2")


def _grpc_in_equal_parts(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    is_grpc = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    return _in_equal_parts(configuration, is_grpc, "grpc")


def _in_equal_parts(configuration: Configuration, condition: JSON, word: str) -> Configuration:
    """Precedes each route by one with equal shares, for requests that match a condition."""

    def level(name: str, routes: JSON) -> None:
        for host in routes["virtual_hosts"]:
            apart = copy.deepcopy(host["routes"])
            for route in apart:
                route["match"].setdefault("headers", []).append(condition)
                route["name"] += f"|{word}"
                _level(route)
            host["routes"] = [*apart, *host["routes"]]

    return with_routes(configuration, "outbound|", level)


def _level(value: JSON) -> None:
    for divided in every(value, "weighted_clusters"):
        for cluster in divided["weighted_clusters"]["clusters"]:
            cluster["weight"] = min(cluster["weight"], 1)


def _taken_for_tcp(declared: str) -> FaultyObjects:
    def edit(service: dict[str, Any]) -> None:
        for port in service["spec"].get("ports") or ():
            if port.get("appProtocol") == declared:
                port["appProtocol"] = "tcp"

    return FaultyObjects("services", edit)


FAULTS = (
    Fault(
        "split-http1-only",
        "Splits hold for HTTP/1.1 only: over HTTP/2 the root is as it was.",
        frozenset({"http-both-protocol-versions"}),
        lambda: EditedConfiguration(_http1_divided_only),
        expected_readings={"split-unit-of-division": "one connection of HTTP/2: unacceptable"},
    ),
    Fault(
        "split-http2-in-equal-parts",
        "Over HTTP/2 each backend of a split that has a weight gets the same share.",
        frozenset({"http-both-protocol-versions"}),
        lambda: EditedConfiguration(_http2_in_equal_parts),
    ),
    Fault(
        "split-grpc-in-equal-parts",
        "Of gRPC calls each backend of a split that has a weight gets the same share.",
        frozenset({"http-grpc-through-routes"}),
        lambda: EditedConfiguration(_grpc_in_equal_parts),
    ),
    Fault(
        "http2-passes-by-the-rules",
        "Access rules bind HTTP/1.1 only: whatever is asked over HTTP/2 is let through.",
        frozenset({"http-both-protocol-versions"}),
        lambda: EditedConfiguration(_http2_open),
        also_fails=frozenset({"http-header-name-case-insensitive"}),
    ),
    Fault(
        "http2-not-understood",
        "Behind the rules only HTTP/1.1 is understood: what is granted fails over HTTP/2.",
        frozenset({"http-both-protocol-versions"}),
        lambda: EditedConfiguration(_http1_only),
        also_fails=frozenset({"http-header-name-case-insensitive"}),
    ),
    Fault(
        "http2-header-names-case-sensitive",
        "A header filter whose name has capitals never holds over HTTP/2, where names are in lower case.",
        frozenset({"http-header-name-case-insensitive"}),
        lambda: EditedConfiguration(_http2_names_compared),
    ),
    Fault(
        "grpc-taken-for-tcp",
        "Ports that are declared as of gRPC are taken for raw TCP, which no HTTP route opens.",
        frozenset(),
        lambda: _taken_for_tcp("grpc"),
        expected_readings={"http-declared-versions": "a port of grpc: b"},
    ),
    Fault(
        "h2c-taken-for-tcp",
        "Ports that are declared as of HTTP/2 in cleartext are taken for raw TCP, which no HTTP route opens.",
        frozenset(),
        lambda: _taken_for_tcp("kubernetes.io/h2c"),
        expected_readings={"http-declared-versions": "a port of kubernetes.io/h2c: b"},
    ),
)

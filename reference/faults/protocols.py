"""Faults of the versions of HTTP: rules that bind one of them only, and gRPC not seen for what it is."""

from __future__ import annotations

from typing import Any

from reference.compiler.configuration import JSON, Configuration
from reference.faults import Fault
from reference.faults.spoilers import SpoiltConfiguration, SpoiltObjects, every, with_listeners, with_routes
from reference.world import Workload, World

_IS_HTTP2: JSON = {
    "call_expr": {
        "function": "_==_",
        "args": [
            {"select_expr": {"operand": {"ident_expr": {"name": "request"}}, "field": "protocol"}},
            {"const_expr": {"string_value": "HTTP/2"}},
        ],
    }
}
"""The condition `request.protocol == "HTTP/2"`. Source: Envoy's API reference, config.rbac.v3.Policy."""


def _http2_open(configuration: Configuration, world: World, workload: Workload) -> Configuration:
    def open_to_all(name: str, routes: JSON) -> None:
        for rules in every(routes, "policies"):
            anybody = {"permissions": [{"any": True}], "principals": [{"any": True}]}
            rules["policies"]["http2"] = {**anybody, "condition": _IS_HTTP2}

    return with_routes(configuration, "inbound|", open_to_all)


def _http1_only(configuration: Configuration, world: World, workload: Workload) -> Configuration:
    def close(listener: JSON) -> None:
        if listener["name"] == "inbound":
            for handler in every(listener, "rds"):
                handler["codec_type"] = "HTTP1"

    return with_listeners(configuration, close)


def _grpc_as_tcp(service: dict[str, Any]) -> None:
    for port in service["spec"].get("ports") or ():
        if port.get("appProtocol") == "grpc":
            port["appProtocol"] = "tcp"


FAULTS = (
    Fault(
        "http2-passes-by-the-rules",
        "Access rules bind HTTP/1.1 only: whatever is asked over HTTP/2 is let through.",
        frozenset({"http-both-protocol-versions", "http-grpc-through-routes"}),
        lambda: SpoiltConfiguration(_http2_open),
    ),
    Fault(
        "http2-not-understood",
        "Behind the rules only HTTP/1.1 is understood: what is granted fails over HTTP/2.",
        frozenset({"http-both-protocol-versions", "http-grpc-through-routes"}),
        lambda: SpoiltConfiguration(_http1_only),
    ),
    Fault(
        "grpc-taken-for-tcp",
        "Ports of gRPC are taken for raw TCP, which no HTTP route opens.",
        frozenset({"http-grpc-through-routes"}),
        lambda: SpoiltObjects("services", _grpc_as_tcp),
    ),
)

"""Variants of what proxies make of requests on their way, and of how they tell what is spoken."""

from __future__ import annotations

from typing import Any

from reference.compiler.configuration import JSON
from reference.faults.spoilers import SpoiltObjects
from reference.variants import CHAIN, EDITS, ROUTES, SHARES, Variant
from reference.variants.building import EditedParts
from reference.variants.denial import managers
from reference.variants.upgrading import upgraded

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TITLE_CASE: JSON = {"header_key_format": {"proper_case_words": {}}}


def _more_headers(listener: JSON) -> None:
    for manager in managers(listener, "in") + managers(listener, "out"):
        manager.update(
            generate_request_id=True,
            always_set_request_id_in_response=True,
            server_header_transformation="OVERWRITE",
            server_name="envoy",
            via="smi-reference",
        )
        manager["http_filters"][-1]["typed_config"]["suppress_envoy_headers"] = False


def _headers_of_routes(routes: JSON) -> None:
    added = [{"header": {"key": f"x-smi-{name}", "value": "reference"}} for name in ("mesh", "proxy")]
    routes["request_headers_to_add"] = routes["response_headers_to_add"] = added


def _title_case(listener: JSON) -> None:
    for manager in managers(listener, "in") + managers(listener, "out"):
        manager["http_protocol_options"] = {**manager["http_protocol_options"], **_TITLE_CASE}


def _title_case_onwards(cluster: JSON) -> None:
    options = cluster["typed_extension_protocol_options"][_OPTIONS]
    options["use_downstream_protocol_config"]["http_protocol_options"] = _TITLE_CASE


def _at_random(cluster: JSON) -> None:
    if cluster["type"] == "STATIC":
        cluster["lb_policy"] = "RANDOM"


def _by_name(service: dict[str, Any]) -> None:
    for port in service["spec"].get("ports") or ():
        port.pop("appProtocol", None)


def _by_app_protocol(service: dict[str, Any]) -> None:
    for port in service["spec"].get("ports") or ():
        port.setdefault("appProtocol", "tcp")


_SPOKEN = frozenset({"traffic_specs/test_both_versions.py", "traffic_specs/test_grpc"})

VARIANTS = (
    Variant(
        "picks-pods-at-random",
        "Which pod of a service gets a request is drawn, not in turn.",
        SHARES | EDITS,
        lambda: EditedParts(cluster=_at_random),
    ),
    Variant(
        "headers-added",
        "Proxies add headers to requests and answers: server, via, a request's id, and others.",
        ROUTES | CHAIN | {"traffic_split/test_matches", "traffic_specs/test_grpc"},
        lambda: EditedParts(listener=_more_headers, routes=_headers_of_routes),
        likewise=("Istio",),
    ),
    Variant(
        "headers-in-title-case",
        "Proxies write the names of headers in title case.",
        ROUTES | {"traffic_split/test_matches", "traffic_specs/test_headers"},
        lambda: EditedParts(listener=_title_case, cluster=_title_case_onwards),
    ),
    Variant(
        "http-2-between-proxies",
        "Requests of HTTP/1.1 go over HTTP/2 between proxies.",
        ROUTES | EDITS | {"traffic_split/test_matches", "traffic_split/test_forms"},
        upgraded,
        likewise=("Linkerd",),
    ),
    Variant(
        "protocol-by-port-name",
        "What is spoken on a port is told by its name alone.",
        _SPOKEN | {"traffic_split/test_ports"},
        lambda: SpoiltObjects("services", _by_name),
    ),
    Variant(
        "protocol-by-app-protocol",
        "What is spoken on a port is told by its appProtocol alone; without one it is raw TCP.",
        _SPOKEN | {"traffic_split/test_ports"},
        lambda: SpoiltObjects("services", _by_app_protocol),
    ),
)

"""HTTP/1.1 upgraded to HTTP/2 between proxies: one declares the original version, the other restores it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.variants.building_blocks import EditedParts, Together

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_ORIGINALLY = "x-smi-originally"
_SPOKEN_FIRST = "|http1"


def _speak(cluster: JSON, version: str) -> None:
    options = cluster["typed_extension_protocol_options"][_OPTIONS]
    del options["use_downstream_protocol_config"]
    options["explicit_http_config"] = {version: {}}


def _to_the_mesh_alone(cluster: JSON) -> bool:
    groups = cluster.get("load_assignment", {}).get("endpoints", ())
    endpoints = [each for group in groups for each in group["lb_endpoints"]]
    return bool(endpoints) and all("metadata" in each for each in endpoints)


def _said(routes: JSON) -> JSON:
    header = {
        "header": {"key": _ORIGINALLY, "value": "%PROTOCOL%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    return {**routes, "request_headers_to_add": [header]}


def _made_that_again(routes: JSON) -> JSON:
    copied = copy.deepcopy(routes)
    for host in copied["virtual_hosts"]:
        first = []
        for route in host["routes"]:
            older: dict[str, Any] = copy.deepcopy(route)
            condition = {"name": _ORIGINALLY, "string_match": {"prefix": "HTTP/1"}}
            older["match"]["headers"] = [*older["match"].get("headers", ()), condition]
            older["route"]["cluster"] += _SPOKEN_FIRST
            first.append(older)
        host["routes"] = [*first, *host["routes"]]
    return {**copied, "request_headers_to_remove": [_ORIGINALLY]}


def _upgraded(cluster: JSON) -> None:
    if cluster["name"].startswith("outbound|") and _to_the_mesh_alone(cluster):
        _speak(cluster, "http2_protocol_options")


def _both_ends(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
    ports = {name for name in configuration.routes if name.startswith("inbound|")}
    older = [copy.deepcopy(one) for one in configuration.clusters if one["name"] in ports]
    for cluster in older:
        cluster["name"] += _SPOKEN_FIRST
        _speak(cluster, "http_protocol_options")
    return replace(
        configuration,
        clusters=(*configuration.clusters, *older),
        routes={
            name: _made_that_again(one) if name in ports else _said(one)
            for name, one in configuration.routes.items()
        },
    )


def upgraded() -> Together:
    """HTTP/2 wherever both ends have a proxy."""
    return Together(EditedParts(cluster=_upgraded), EditedConfiguration(_both_ends))

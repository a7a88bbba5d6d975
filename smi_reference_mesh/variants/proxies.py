"""Variants of the changes that proxies make to requests, and of protocol detection."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from smi_reference_mesh.compiler import XDS_DIRECTORY, envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.compiler.inbound import inbound_name, inbound_of, listening_ports
from smi_reference_mesh.compiler.mesh import mesh_of
from smi_reference_mesh.compiler.outbound import BLACKHOLE, PASSTHROUGH
from smi_reference_mesh.faults.building_blocks import FaultyObjects
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.membership import ACCESS_ANNOTATION
from smi_reference_mesh.variants.building_blocks import EditedParts, Together
from smi_reference_mesh.variants.denial import managers
from smi_reference_mesh.variants.upgrading import upgraded
from smi_reference_mesh.variants.variant import ACCESS, CHAIN, EDITS, ROUTES, SHARES, Variant

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TCP_PROXY = "envoy.filters.network.tcp_proxy"
SPEAKS = "speaks.smi-conformance.dev/protocol"
"""The annotation by which a service declares its ports' protocol, in the variant that uses it."""
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


def _by_annotation(service: dict[str, Any]) -> None:
    spoken = (service["metadata"].get("annotations") or {}).get(SPEAKS, "tcp")
    for port in service["spec"].get("ports") or ():
        port["appProtocol"] = spoken


def _raw_to(cluster: str) -> EditedParts:
    """Raw TCP to services of the mesh uses a cluster of its own."""

    def edit(listener: JSON) -> None:
        for chain in listener.get("filter_chains", ()) if listener["name"] == "outbound" else ():
            if chain["name"].startswith("outbound|") and chain["filters"][0]["name"] == _TCP_PROXY:
                chain["filters"] = [envoy.tcp_proxy("out", {cluster: 1})]

    return EditedParts(listener=edit)


@lru_cache(maxsize=2)
def _without_access_control(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    opened = [
        {**one, "metadata": {**one["metadata"], "annotations": {ACCESS_ANNOTATION: "permissive"}}}
        for one in snapshot.of("namespaces")
    ]
    return snapshot.replacing("namespaces", opened)


def _raw_admitted(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Raw TCP to a raw TCP port passes, from any source."""
    opened = mesh_of(_without_access_control(snapshot))
    pod = opened.pods.get((workload.namespace, workload.name))
    raw = [] if pod is None else [port for port, one in listening_ports(opened, pod).items() if one == "tcp"]
    names = {inbound_name(port) for port in raw}
    admitting = inbound_of(opened, workload, XDS_DIRECTORY).listeners[0]["filter_chains"]
    admitted = [chain for chain in admitting if _of_port(chain) in names]

    def edited(listener: JSON) -> JSON:
        if listener["name"] != "inbound":
            return listener
        kept = [chain for chain in listener["filter_chains"] if _of_port(chain) not in names]
        return {**listener, "filter_chains": [*admitted, *kept]}

    return replace(configuration, listeners=tuple(map(edited, configuration.listeners)))


def _of_port(chain: JSON) -> str:
    """The port's name of a chain, without the suffix that distinguishes chains of one port."""
    return "|".join(str(chain["name"]).split("|")[:2])


_SPOKEN = frozenset({"traffic_specs/test_both_versions.py", "traffic_specs/test_grpc"})

_HTTP_ALONE = {"protocols": ["http", "h2c", "grpc"], "access": {"udp": False}}

VARIANTS = (
    Variant(
        "picks-pods-at-random",
        "A service's pods get requests at random instead of by rotation.",
        SHARES | EDITS,
        lambda: EditedParts(cluster=_at_random),
    ),
    Variant(
        "headers-added",
        "Proxies add headers to requests and responses: server, via, a request id, and others.",
        ROUTES | CHAIN | {"traffic_split/test_matches", "traffic_specs/test_grpc"},
        lambda: EditedParts(listener=_more_headers, routes=_headers_of_routes),
        real_meshes=("Istio",),
    ),
    Variant(
        "headers-in-title-case",
        "Proxies write header names in title case.",
        ROUTES | {"traffic_split/test_matches", "traffic_specs/test_headers"},
        lambda: EditedParts(listener=_title_case, cluster=_title_case_onwards),
    ),
    Variant(
        "http-2-between-proxies",
        "HTTP/1.1 requests use HTTP/2 between proxies.",
        ROUTES | EDITS | {"traffic_split/test_matches", "traffic_split/test_forms"},
        upgraded,
        real_meshes=("Linkerd",),
    ),
    Variant(
        "protocol-by-port-name",
        "Only a port's name determines its protocol.",
        _SPOKEN | {"traffic_split/test_ports"},
        lambda: FaultyObjects("services", _by_name),
    ),
    Variant(
        "protocol-by-app-protocol",
        "Only a port's appProtocol determines its protocol; without one it is raw TCP.",
        _SPOKEN | {"traffic_split/test_ports"},
        lambda: FaultyObjects("services", _by_app_protocol),
    ),
    Variant(
        "protocol-by-annotation",
        "An annotation of the service determines its ports' protocol; without one it is raw TCP.",
        _SPOKEN | ACCESS | {"traffic_split/test_ports", "traffic_split/test_forms"},
        lambda: FaultyObjects("services", _by_annotation),
        profile={
            "services": {
                **{one: {"annotations": {SPEAKS: "http"}} for one in ("http", "h2c", "grpc")},
                "tcp": {"annotations": {SPEAKS: "tcp"}},
            },
            "mixed_ports": False,
        },
        real_meshes=("Traefik Mesh",),
    ),
    Variant(
        "http-alone-is-carried",
        "Of TCP, the mesh carries only HTTP and refuses everything else.",
        _SPOKEN | ACCESS | {"traffic_specs/test_ports", "traffic_split/test_forms"},
        lambda: _raw_to(BLACKHOLE),
        profile=_HTTP_ALONE,
    ),
    Variant(
        "http-alone-is-governed",
        "Of TCP, the mesh governs only HTTP and passes everything else unchanged.",
        _SPOKEN | ACCESS | {"traffic_specs/test_ports", "traffic_split/test_forms"},
        lambda: Together(_raw_to(PASSTHROUGH), EditedConfiguration(_raw_admitted)),
        profile=_HTTP_ALONE,
        real_meshes=("Traefik Mesh",),
    ),
)

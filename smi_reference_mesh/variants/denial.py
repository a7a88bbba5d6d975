"""Variants of denial: its form, and the end that denies."""

from __future__ import annotations

import copy
from dataclasses import replace

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.compiler.outbound import BLACKHOLE, PODS
from smi_reference_mesh.faults.building_blocks import every
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.names import ADMIN_PORT
from smi_reference_mesh.variants.building_blocks import EditedParts
from smi_reference_mesh.variants.caller_grants import clusters_of, doors_of
from smi_reference_mesh.variants.variant import ACCESS, ROUTES, Variant

_HCM = "envoy.filters.network.http_connection_manager"
_RBAC_DENIES = 403
_SILENCE = "silence"
_SILENCE_PORT = ADMIN_PORT + 50
_FOR_EVER = "3600s"
_ANYTHING: JSON = {"any": True}


def managers(value: object, direction: str) -> list[JSON]:
    """The HTTP connection managers within a part of a configuration, inbound or outbound."""
    return [one for one in every(value, "http_filters") if one.get("stat_prefix") == direction]


def _status(status: int) -> EditedParts:
    comparison = {"op": "EQ", "value": {"default_value": _RBAC_DENIES, "runtime_key": "smi.denied"}}
    mapper = {"filter": {"status_code_filter": {"comparison": comparison}}, "status_code": status}

    def edit(listener: JSON) -> None:
        for manager in managers(listener, "in"):
            manager["local_reply_config"] = {"mappers": [mapper]}

    return EditedParts(listener=edit)


def _reset(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
    """A client has no route to services where it has no grant: its connection closes immediately."""
    doors = doors_of(snapshot, workload)
    listeners = copy.deepcopy(configuration.listeners)
    for listener in listeners:
        for chain in listener.get("filter_chains", ()) if listener["name"] == "outbound" else ():
            routes = configuration.routes.get(chain["name"], chain["filters"])
            led_to = [doors[name] for name in clusters_of(routes) if name in doors]
            if led_to and all(door.closed for door in led_to):
                chain["filters"] = [envoy.tcp_proxy("out", {BLACKHOLE: 1})]
    return replace(configuration, listeners=listeners)


def _at_both_ends(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """A client's proxy denies the requests that the server's proxy would deny, before sending them."""
    doors = doors_of(snapshot, workload)

    def limited(holder: JSON, name: str) -> None:
        door = doors.get(name)
        if door is not None and not door.free:
            policies = {"own": {"permissions": list(door.permissions), "principals": [_ANYTHING]}}
            rules = {"action": "ALLOW", "policies": policies if door.permissions else {}}
            holder["typed_per_filter_config"] = envoy.http_rbac_override(rules)

    routes = copy.deepcopy(dict(configuration.routes))
    for name, one in routes.items():
        for host in one["virtual_hosts"] if name.startswith("outbound|") else ():
            for route in host["routes"]:
                action = route.get("route", {})
                for share in action.get("weighted_clusters", {}).get("clusters", ()):
                    limited(share, share["name"])
                if "cluster" in action:
                    limited(route, action["cluster"])
    return replace(
        configuration, routes=routes, listeners=tuple(map(_with_client_rbac, configuration.listeners))
    )


def _with_client_rbac(listener: JSON) -> JSON:
    copied = copy.deepcopy(listener)
    anyone = {"anyone": {"permissions": [_ANYTHING], "principals": [_ANYTHING]}}
    for manager in managers(copied, "out"):
        rbac = envoy.http_rbac()
        rbac["typed_config"]["rules"]["policies"] = anyone
        manager["http_filters"].insert(0, rbac)
    return copied


_STAY_SILENT = """
function envoy_on_request(handle)
  local found = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.rbac")
  if found and found["shadow_engine_result"] == "denied" then
    handle:httpCall("%s", {[":method"] = "GET", [":path"] = "/", [":authority"] = "silence"}, "", 3600000)
  end
end
"""


def _silent(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
    """Denied requests hang for ever, waiting for a service that never responds."""
    listeners = [*copy.deepcopy(configuration.listeners)]
    lua = envoy.named(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": _STAY_SILENT % _SILENCE},
    )
    for listener in listeners:
        for manager in managers(listener, "in"):
            manager["http_filters"].insert(1, lua)
    routes = copy.deepcopy(dict(configuration.routes))
    for name, one in routes.items():
        for holder in every(one, "rbac") if name.startswith("inbound|") else ():
            holder["rbac"] = {"shadow_rules": holder["rbac"]["rules"]}
    cluster = envoy.static_cluster(_SILENCE, ("127.0.0.1", _SILENCE_PORT))
    return replace(
        configuration,
        listeners=(*listeners, _silence()),
        clusters=(*configuration.clusters, cluster),
        routes=routes,
    )


def _silence() -> JSON:
    """A listener that accepts requests and never responds."""
    fault = envoy.named(
        "envoy.filters.http.fault",
        "envoy.extensions.filters.http.fault.v3.HTTPFault",
        delay={"fixed_delay": _FOR_EVER, "percentage": {"numerator": 100}},
    )
    router = envoy.named("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router")
    answer = envoy.route(_SILENCE, envoy.ANYTHING, envoy.nowhere())
    manager = envoy.named(
        _HCM,
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=_SILENCE,
        stream_idle_timeout="0s",
        route_config=envoy.route_configuration(_SILENCE, [answer]),
        http_filters=[fault, router],
    )
    return {
        "name": _SILENCE,
        "address": envoy.address("127.0.0.1", _SILENCE_PORT),
        "filter_chains": [{"name": _SILENCE, "filters": [manager]}],
    }


def _refused_by_address(listener: JSON) -> None:
    for chain in listener.get("filter_chains", ()):
        if chain["name"].partition("|")[0] == PODS:
            chain["filters"] = [envoy.tcp_proxy("out", {BLACKHOLE: 1})]


def _past_by_address(cluster: JSON) -> None:
    if cluster["name"] == PODS:
        del cluster["transport_socket"]


def reset() -> EditedConfiguration:
    """A client has no route to services where it has no grant."""
    return EditedConfiguration(_reset)


def not_found() -> EditedParts:
    """Denied requests get a 404 response."""
    return _status(404)


_DIRECTLY = frozenset(
    {"traffic_access/test_enforced", "traffic_split/test_backends", "traffic_split/test_forms"}
)

VARIANTS = (
    Variant(
        "denial-is-404",
        "Denied requests get a 404 response, as if the resource did not exist.",
        ACCESS | ROUTES,
        not_found,
    ),
    Variant(
        "denial-is-a-reset",
        "A client without any grant at a service has no route to it: its connection closes. Partly granted "
        "requests get 403.",
        ACCESS | {"common/test_partial_authorisation"},
        reset,
        real_meshes=("Open Service Mesh",),
    ),
    Variant(
        "denial-is-silence",
        "Denied requests never get a response.",
        frozenset(
            {"traffic_access/test_default_deny", "traffic_access/test_routes", "traffic_specs/test_method"}
        ),
        lambda: EditedConfiguration(_silent),
    ),
    Variant(
        "enforced-at-the-client-too",
        "A client's proxy denies the same requests as the server's.",
        ACCESS | ROUTES | {"common/test_partial_authorisation"},
        lambda: EditedConfiguration(_at_both_ends),
    ),
    Variant(
        "pod-addresses-refused",
        "The caller's proxy refuses calls to pod addresses.",
        _DIRECTLY,
        lambda: EditedParts(listener=_refused_by_address),
    ),
    Variant(
        "pod-addresses-go-past",
        "Calls to pod addresses bypass the caller's proxy, and so have no identity.",
        _DIRECTLY,
        lambda: EditedParts(cluster=_past_by_address),
    ),
)

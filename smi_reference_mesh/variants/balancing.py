"""Variants of load balancing: by rotation, or once for each connection."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.variants.building_blocks import EditedParts
from smi_reference_mesh.variants.denial import managers
from smi_reference_mesh.variants.variant import EDITS, SHARES, Variant

_HEAVIEST = 2**24
_CHOICE = "x-smi-choice"


def _rotating(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
    """Replaces the backends of a split by one cluster of all their endpoints, with weighted round robin."""
    known = {cluster["name"]: cluster for cluster in configuration.clusters}
    made: dict[str, JSON] = {}
    routes = dict(configuration.routes)
    for name, one in configuration.routes.items():
        if not name.startswith(("outbound|", "ingress")):
            continue
        routes[name] = copied = copy.deepcopy(one)
        for host in copied["virtual_hosts"]:
            for route in host["routes"]:
                shares = route.get("route", {}).get("weighted_clusters", {}).get("clusters")
                if shares:
                    cluster = _together(shares, known)
                    made[cluster["name"]] = cluster
                    del route["route"]["weighted_clusters"]
                    route["route"]["cluster"] = cluster["name"]
    return replace(configuration, routes=routes, clusters=(*configuration.clusters, *made.values()))


def _together(shares: list[JSON], known: Mapping[str, JSON]) -> JSON:
    """A cluster of the endpoints of several, each with its part of its cluster's weight."""
    behind = {share["name"]: _endpoints(known.get(share["name"], {})) for share in shares}
    whole = math.lcm(*(len(each) for each in behind.values() if each))
    weights = {share["name"]: share["weight"] * whole for share in shares}
    largest = max(*weights.values(), 1)
    endpoints = [
        {
            **each,
            "load_balancing_weight": max(1, weights[name] * min(_HEAVIEST, largest) // largest // len(found)),
        }
        for name, found in behind.items()
        for each in found
        if weights[name]
    ]
    # The name depends on the content, so that an edit makes another cluster.
    name = "rotation|" + "|".join(f"{share['name']}={share['weight']}" for share in shares)
    matches = [
        match
        for share in shares
        for match in known.get(share["name"], {}).get("transport_socket_matches", ())
    ]
    return {
        **envoy.cluster(name, "STATIC"),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "transport_socket_matches": _all_names(matches),
    }


def _endpoints(cluster: JSON) -> list[JSON]:
    groups = cluster.get("load_assignment", {}).get("endpoints", ())
    return [each for group in groups for each in group["lb_endpoints"]]


def _all_names(matches: list[JSON]) -> list[JSON]:
    """A transport socket that accepts all identities that any of these accepts."""
    if not matches:
        return []
    merged: JSON = copy.deepcopy(matches[0])
    names: list[Any] = []
    for match in matches:
        accepted = _accepted(match)["match_typed_subject_alt_names"]
        names += [name for name in accepted if name not in names]
    _accepted(merged)["match_typed_subject_alt_names"] = names
    return [merged]


def _accepted(match: JSON) -> JSON:
    context = match["transport_socket"]["typed_config"]["common_tls_context"]["combined_validation_context"]
    found: JSON = context["default_validation_context"]
    return found


def _chosen_once(listener: JSON) -> None:
    header = {"key": _CHOICE, "value": "%CONNECTION_ID%"}
    mutation = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    for manager in managers(listener, "out"):
        manager["early_header_mutation_extensions"] = [
            envoy.named("envoy.http.early_header_mutation.header_mutation", kind, mutations=[mutation])
        ]


def _by_the_choice(routes: JSON) -> None:
    for host in routes["virtual_hosts"]:
        for route in host["routes"]:
            if "weighted_clusters" in route.get("route", {}):
                route["route"]["weighted_clusters"]["use_hash_policy"] = True
                route["route"]["hash_policy"] = [{"header": {"header_name": _CHOICE}}]
                route["request_headers_to_remove"] = [_CHOICE]
            elif "route" in route and routes["name"].startswith("outbound|"):
                route["request_headers_to_remove"] = [_CHOICE]


def rotation() -> EditedConfiguration:
    """Weighted rotation through the backends."""
    return EditedConfiguration(_rotating)


_ALL = SHARES | EDITS | {"traffic_split/test_matches", "traffic_split/test_ingress"}

VARIANTS = (
    Variant(
        "balances-by-rotation",
        "Weighted round robin over the backends, without those that have no endpoints.",
        _ALL | {"traffic_split/test_odd_splits"},
        rotation,
        expected_readings={
            "split-unavailable-backend": "backend without endpoints: a; backend whose endpoints go: a"
        },
        real_meshes=("Traefik Mesh",),
    ),
    Variant(
        "balances-once-for-each-connection",
        "Each connection of a client goes to one backend, chosen at random by weight.",
        _ALL,
        lambda: EditedParts(listener=_chosen_once, routes=_by_the_choice),
        expected_readings={"split-unit-of-division": "one kept connection: b; one connection of HTTP/2: b"},
    ),
)

"""Faults of traffic splitting."""

from __future__ import annotations

import copy
import math
import time
from functools import lru_cache
from typing import Any

from smi_reference_mesh.compiler import compile as compile_
from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.faults.building_blocks import (
    FaultyObjects,
    FaultySnapshot,
    every,
    service_of,
    with_listeners,
    with_routes,
    with_slices,
)
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import DefaultHooks, EditedConfiguration
from smi_reference_mesh.kube.objects import Object, Workload, labels_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts


def _backends(split: dict[str, Any]) -> list[dict[str, Any]]:
    backends: list[dict[str, Any]] = split["spec"]["backends"]
    return backends


def _equal_weights(split: dict[str, Any]) -> None:
    for backend in _backends(split):
        backend["weight"] = min(backend["weight"], 1)


def _steps_of_two_percent(split: dict[str, Any]) -> None:
    total = sum(backend["weight"] for backend in _backends(split))
    for backend in _backends(split):
        backend["weight"] = math.floor(50 * backend["weight"] / total) * 2


def _whole_percents(split: dict[str, Any]) -> None:
    total = sum(backend["weight"] for backend in _backends(split))
    for backend in _backends(split):
        backend["weight"] = math.ceil(100 * backend["weight"] / total) if total else 0


def _first_four(split: dict[str, Any]) -> None:
    for backend in _backends(split)[4:]:
        backend["weight"] = 0


def _total_of_one_hundred(split: dict[str, Any]) -> None:
    left = 100
    for backend in _backends(split):
        backend["weight"] = min(backend["weight"], left)
        left -= backend["weight"]
    _backends(split)[0]["weight"] += left


def _at_least_one(split: dict[str, Any]) -> None:
    for backend in _backends(split):
        backend["weight"] = max(backend["weight"], 1)


def _no_direct_access(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    used = {
        (namespace_of(split), backend["service"])
        for split in snapshot.of("trafficsplits")
        for backend in split["spec"]["backends"]
    }

    def cut(name: str, routes: JSON) -> None:
        _, namespace, service, _ = name.split("|")
        if (namespace, service) in used:
            for host in routes["virtual_hosts"]:
                host["routes"] = [
                    {"name": "cut", "match": {"prefix": "/"}, "direct_response": {"status": 404}}
                ]

    return with_routes(configuration, "outbound|", cut)


def _root_target_port(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    ports = {
        (service_of(item), port.get("name")): port["port"]
        for item in snapshot.of("endpointslices")
        for port in item.get("ports") or ()
    }
    roots = {
        (namespace_of(split), backend["service"]): (namespace_of(split), split["spec"]["service"])
        for split in snapshot.of("trafficsplits")
        for backend in split["spec"]["backends"]
    }

    def forced(item: dict[str, Any]) -> None:
        root = roots.get(service_of(item))
        if root is None:
            return
        for port in item.get("ports") or ():
            port["port"] = ports.get((root, port.get("name")), port["port"])

    return with_slices(snapshot, forced)


class _OwnNamespaceOnly(DefaultHooks):
    """Splits traffic only for clients of the split's own namespace."""

    def __init__(self) -> None:
        self._visible = lru_cache(maxsize=16)(self._without_others)

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        return compile_(self._visible(snapshot, workload.namespace), workload)

    def _without_others(self, snapshot: ClusterSnapshot, namespace: str) -> ClusterSnapshot:
        own = [split for split in snapshot.of("trafficsplits") if namespace_of(split) == namespace]
        return snapshot.replacing("trafficsplits", own)


def _split_at_the_server(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Pods behind a root divide requests without an identity over the split's backends."""
    behind = {
        (namespace_of(item), labels_of(item).get("kubernetes.io/service-name", ""))
        for item in snapshot.of("endpointslices")
        for endpoint in item.get("endpoints") or ()
        if (endpoint.get("targetRef") or {}).get("name") == workload.name
        and namespace_of(item) == workload.namespace
    }
    roots = [
        split
        for split in snapshot.of("trafficsplits")
        if (namespace_of(split), split["spec"]["service"]) in behind
    ]
    if not roots:
        return configuration
    (root, *_) = roots
    routes = {
        name: routes
        for name, routes in configuration.routes.items()
        if name.startswith(f"outbound|{namespace_of(root)}|{root['spec']['service']}|")
    }

    def divert(listener: JSON) -> None:
        for chain in listener.get("filter_chains", ()):
            port, _, kind = chain.get("name", "").rpartition("|")
            if listener["name"] != "inbound" or kind != "plaintext" or port not in configuration.routes:
                continue
            # The chain of the mesh's own callers shares these filters, and keeps them.
            chain["filters"] = copy.deepcopy(chain["filters"])
            (own,) = configuration.routes[port]["virtual_hosts"]
            for manager in every(chain, "rds"):
                del manager["rds"]
                diverted = copy.deepcopy(next(iter(routes.values())))
                for host in diverted["virtual_hosts"]:
                    host["typed_per_filter_config"] = own["typed_per_filter_config"]
                manager["route_config"] = diverted

    return with_listeners(configuration, divert)


_FIRST = "x-first-of-connection"
_MARK_THE_FIRST = f"""
local known = {{}}
function envoy_on_request(handle)
  local caller = handle:streamInfo():downstreamDirectRemoteAddress()
  if not known[caller] then
    known[caller] = true
    handle:headers():add("{_FIRST}", "yes")
  end
end
"""


def _rotations_begin_anew(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Routes each connection's first request to the first backend, as if each had its own rotation."""

    def mark(listener: JSON) -> None:
        for manager in every(listener, "http_filters") if listener["name"] == "outbound" else ():
            script = {"inline_string": _MARK_THE_FIRST}
            lua = "envoy.extensions.filters.http.lua.v3.Lua"
            manager["http_filters"] = [
                envoy.named("envoy.filters.http.lua", lua, default_source_code=script),
                *manager["http_filters"],
            ]

    def prefer(name: str, routes: JSON) -> None:
        for host in routes["virtual_hosts"]:
            firsts = []
            for route in host["routes"]:
                clusters = route.get("route", {}).get("weighted_clusters", {}).get("clusters", ())
                positive = [cluster["name"] for cluster in clusters if cluster["weight"]]
                if positive:
                    is_first = {"name": _FIRST, "present_match": True}
                    match = {**route["match"], "headers": [*route["match"].get("headers", ()), is_first]}
                    firsts.append(envoy.route(f"{route['name']}|first", match, envoy.to_cluster(positive[0])))
            host["routes"] = [*firsts, *host["routes"]]
            host["request_headers_to_remove"] = [_FIRST]

    return with_listeners(with_routes(configuration, "outbound|", prefer), mark)


_BUSY = 150
"""The requests in the last second that make a backend busy."""
_LAST_S = 1.0


class _BalancedGlobally(DefaultHooks):
    """Steers clients away from a backend that others keep busy, so that the total matches the weights."""

    def __init__(self) -> None:
        self._busy: frozenset[tuple[str, str]] = frozenset()
        self._since = time.monotonic()

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        # Requests before the fault was switched on belong to an earlier scenario.
        seen_s = min(_LAST_S, time.monotonic() - self._since)
        direct: dict[tuple[str, str], int] = {}
        for stream, tally in counts.totals(last_s=seen_s).items():
            # Requests to a service under its own name, without any split.
            if stream.direction == "out" and stream.route == "root":
                _, namespace, service, _ = stream.cluster.split("|")
                direct[namespace, service] = direct.get((namespace, service), 0) + tally.successes
        before, self._busy = self._busy, frozenset(one for one, count in direct.items() if count > _BUSY)
        return before != self._busy

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        return snapshot.replacing(
            "trafficsplits", [self._without_busy(split) for split in snapshot.of("trafficsplits")]
        )

    def _without_busy(self, split: Object) -> Object:
        copied: dict[str, Any] = copy.deepcopy(dict(split))
        rested = [one for one in _backends(copied) if (namespace_of(split), one["service"]) in self._busy]
        if len(rested) < len(_backends(copied)):
            for one in rested:
                one["weight"] = 0
        return copied


FAULTS = (
    Fault(
        id="splits-never-taken-up",
        summary="No TrafficSplit has any effect",
        breaks=frozenset({"split-single-service-followed"}),
        hooks=lambda: FaultySnapshot(lambda snapshot: snapshot.replacing("trafficsplits", [])),
    ),
    Fault(
        "split-weights-ignored",
        "All backends of a positive weight get the same share.",
        frozenset({"split-weighted-distribution", "split-weights-are-relative"}),
        lambda: FaultyObjects("trafficsplits", _equal_weights),
    ),
    Fault(
        "split-rotations-begin-anew",
        "Each connection has a rotation of its own: its first request always gets to the first backend.",
        frozenset({"split-weighted-distribution"}),
        lambda: EditedConfiguration(_rotations_begin_anew),
    ),
    Fault(
        "split-small-share-erased",
        "Shares are rounded down to steps of two percent, so a share of one in a hundred is lost.",
        frozenset({"split-weighted-distribution"}),
        lambda: FaultyObjects("trafficsplits", _steps_of_two_percent),
    ),
    Fault(
        "split-shares-in-whole-percents",
        "Shares are rounded up to whole percents, so one in a thousand becomes one in a hundred.",
        frozenset({"split-weighted-distribution"}),
        lambda: FaultyObjects("trafficsplits", _whole_percents),
    ),
    Fault(
        "split-of-four-at-most",
        "Of the backends of a split only the first four get traffic.",
        frozenset({"split-weighted-distribution"}),
        lambda: FaultyObjects("trafficsplits", _first_four),
    ),
    Fault(
        "split-weights-taken-for-percentages",
        "Weights are cut off at a total of 100, and what is missing to it goes to the first backend.",
        frozenset({"split-weights-are-relative"}),
        lambda: FaultyObjects("trafficsplits", _total_of_one_hundred),
        real_defects=("weights-must-sum-to-hundred",),
    ),
    Fault(
        "split-zero-weight-gets-traffic",
        "A weight of 0 counts as 1.",
        frozenset({"split-backend-precreated-zero", "split-zero-weight-gets-nothing"}),
        lambda: FaultyObjects("trafficsplits", _at_least_one),
        real_defects=("zero-weight-backend-gets-traffic",),
    ),
    Fault(
        "split-cuts-off-direct-access",
        "A service that is a backend of a split answers 404 under its own name.",
        frozenset({"split-direct-backend-access"}),
        lambda: EditedConfiguration(_no_direct_access),
        real_defects=("split-cuts-off-direct-backend-access",),
    ),
    Fault(
        "split-root-target-port",
        "All backends are reached at the target port of the root.",
        frozenset({"split-targetport-per-backend", "split-root-targetport-irrelevant"}),
        lambda: FaultySnapshot(_root_target_port),
        real_defects=("backend-targetport-forced-to-match-root",),
    ),
    Fault(
        "split-own-namespace-only",
        "Only clients of the split's own namespace see it.",
        frozenset({"split-client-in-other-namespace"}),
        _OwnNamespaceOnly,
    ),
    Fault(
        "split-balanced-globally",
        "Clients are steered away from a backend that other clients keep busy.",
        frozenset({"split-per-client-ratio"}),
        _BalancedGlobally,
    ),
    Fault(
        "split-at-the-server",
        "Pods behind the root divide what reaches them from outside the mesh.",
        frozenset({"split-unmeshed-client"}),
        lambda: EditedConfiguration(_split_at_the_server),
    ),
)

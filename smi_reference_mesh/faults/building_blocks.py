"""Building blocks of faults: spoilers made from one small function."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.hooks import AccessReview, DefaultHooks, MetricsQuery
from smi_reference_mesh.kube.objects import Object, Workload, labels_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot


class FaultySnapshot(DefaultHooks):
    """Shows the compiler another world."""

    def __init__(self, edit: Callable[[ClusterSnapshot], ClusterSnapshot]) -> None:
        # Worlds that are the same stay the same: what is derived from one is cached by identity.
        self._edit_snapshot = lru_cache(maxsize=2)(edit)

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        return self._edit_snapshot(snapshot)


class FaultyObjects(FaultySnapshot):
    """Shows the compiler other objects of one kind; ``edit`` gets a copy and may change it in place."""

    def __init__(self, plural: str, edit: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(self._edited)
        self._plural = plural
        self._edit = edit

    def _edited(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        return edited(snapshot, self._plural, self._edit)


class AsFirstSeen(FaultySnapshot):
    """Shows the compiler each object of one kind as it was when it was first seen."""

    def __init__(self, plural: str) -> None:
        super().__init__(self._first)
        self._plural = plural
        self._seen: dict[str, Object] = {}

    def _first(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        now = snapshot.of(self._plural)
        return snapshot.replacing(
            self._plural, [self._seen.setdefault(item["metadata"]["uid"], item) for item in now]
        )


class FaultyConfiguration(DefaultHooks):
    """Hands a workload another configuration than the one compiled; the function gets copies of its parts."""

    def __init__(self, edit: Callable[[Configuration, ClusterSnapshot, Workload], Configuration]) -> None:
        self._edit = edit

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        return self._edit(configuration, snapshot, workload)


class FaultyMetrics(DefaultHooks):
    """Answers clients of the metrics API with something else; ``edit`` gets a copy and the query."""

    def __init__(self, edit: Callable[[dict[str, Any], MetricsQuery], None]) -> None:
        self._edit = edit

    def metrics(self, document: dict[str, Any], query: MetricsQuery) -> dict[str, Any]:
        copied = copy.deepcopy(document)
        self._edit(copied, query)
        return copied


class EdgesForPeople(DefaultHooks):
    """Refuses edges to ServiceAccounts, whatever their role says."""

    def allows(self, decision: bool, access: AccessReview) -> bool:
        return decision and not (access.query.edges and access.user.startswith("system:serviceaccount:"))


def with_listeners(configuration: Configuration, edit: Callable[[JSON], None]) -> Configuration:
    """The configuration with each listener edited, in a copy."""
    listeners = copy.deepcopy(configuration.listeners)
    for listener in listeners:
        edit(listener)
    return replace(configuration, listeners=listeners)


def with_routes(
    configuration: Configuration, prefix: str, edit: Callable[[str, JSON], None]
) -> Configuration:
    """The configuration with the routes whose names start so edited, in copies."""
    routes = dict(configuration.routes)
    for name in routes:
        if name.startswith(prefix):
            routes[name] = copy.deepcopy(routes[name])
            edit(name, routes[name])
    return replace(configuration, routes=routes)


def every(value: Any, key: str) -> Iterable[JSON]:
    """All objects within a JSON value that have a key."""
    if isinstance(value, dict):
        if key in value:
            yield value
        for inner in list(value.values()):
            yield from every(inner, key)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from every(inner, key)


def service_of(endpoint_slice: Object) -> tuple[str, str]:
    """Namespace and name of the service that an EndpointSlice belongs to."""
    name = labels_of(endpoint_slice).get("kubernetes.io/service-name", "")
    return namespace_of(endpoint_slice), name


def edited(snapshot: ClusterSnapshot, plural: str, edit: Callable[[dict[str, Any]], None]) -> ClusterSnapshot:
    """The world with each object of one kind edited, in a copy."""
    copies = copy.deepcopy([dict(item) for item in snapshot.of(plural)])
    for item in copies:
        edit(item)
    return snapshot.replacing(plural, copies)


def with_slices(snapshot: ClusterSnapshot, edit: Callable[[dict[str, Any]], None]) -> ClusterSnapshot:
    """The world with each EndpointSlice edited, in a copy."""
    return edited(snapshot, "endpointslices", edit)

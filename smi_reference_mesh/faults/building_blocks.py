"""Building blocks of faults: hooks made from one small function."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.hooks import AccessReview, DefaultHooks, MetricsQuery
from smi_reference_mesh.kube.objects import Object, labels_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot


class FaultySnapshot(DefaultHooks):
    """Gives the compiler an edited snapshot."""

    def __init__(self, edit: Callable[[ClusterSnapshot], ClusterSnapshot]) -> None:
        # Equal snapshots must stay identical: values derived from them are cached by identity.
        self._edit_snapshot = lru_cache(maxsize=2)(edit)

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        return self._edit_snapshot(snapshot)


class FaultyObjects(FaultySnapshot):
    """Gives the compiler edited objects of one kind; `edit` may change its argument, a copy, in place."""

    def __init__(self, plural: str, edit: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(self._edited)
        self._plural = plural
        self._edit = edit

    def _edited(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        return edited(snapshot, self._plural, self._edit)


class AsFirstSeen(FaultySnapshot):
    """Gives the compiler each object of one kind in the first state observed."""

    def __init__(self, plural: str) -> None:
        super().__init__(self._first)
        self._plural = plural
        self._seen: dict[str, Object] = {}

    def _first(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        now = snapshot.of(self._plural)
        return snapshot.replacing(
            self._plural, [self._seen.setdefault(item["metadata"]["uid"], item) for item in now]
        )


class FaultyMetrics(DefaultHooks):
    """Edits the responses of the metrics API; `edit` gets a copy and the query."""

    def __init__(self, edit: Callable[[dict[str, Any], MetricsQuery], None]) -> None:
        self._edit = edit

    def metrics(self, document: dict[str, Any], query: MetricsQuery) -> dict[str, Any]:
        copied = copy.deepcopy(document)
        self._edit(copied, query)
        return copied


class EdgesForPeople(DefaultHooks):
    """Denies edges to ServiceAccounts, regardless of their role."""

    def allows(self, decision: bool, access: AccessReview) -> bool:
        return decision and not (access.query.edges and access.user.startswith("system:serviceaccount:"))


def with_listeners(configuration: Configuration, edit: Callable[[JSON], None]) -> Configuration:
    """The configuration with an edited copy of each listener."""
    listeners = copy.deepcopy(configuration.listeners)
    for listener in listeners:
        edit(listener)
    return replace(configuration, listeners=listeners)


def with_routes(
    configuration: Configuration, prefix: str, edit: Callable[[str, JSON], None]
) -> Configuration:
    """The configuration with edited copies of the routes whose names have a prefix."""
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
    """The snapshot with an edited copy of each object of one kind."""
    copies = copy.deepcopy([dict(item) for item in snapshot.of(plural)])
    for item in copies:
        edit(item)
    return snapshot.replacing(plural, copies)


def with_slices(snapshot: ClusterSnapshot, edit: Callable[[dict[str, Any]], None]) -> ClusterSnapshot:
    """The snapshot with an edited copy of each EndpointSlice."""
    return edited(snapshot, "endpointslices", edit)

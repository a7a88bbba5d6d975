"""Keeps the objects of a cluster in memory by list and watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smi_reference_mesh.kube.client import ApiError, KubeClient
from smi_reference_mesh.kube.objects import Object
from smi_reference_mesh.kube.snapshot import KINDS, ClusterSnapshot, Kind

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_NOT_SERVED_PAUSE_S = 1.0
_NOT_FOUND = 404
_GONE = 410

OWNERS: tuple[Kind, ...] = (
    Kind("nodes", "", "v1", namespaced=False),
    Kind("replicationcontrollers", "", "v1"),
    Kind("daemonsets", "apps", "v1"),
    Kind("deployments", "apps", "v1"),
    Kind("replicasets", "apps", "v1"),
    Kind("statefulsets", "apps", "v1"),
    Kind("jobs", "batch", "v1"),
)
"""Kinds that contain pods, for metrics only."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A path to list and watch, with an optional field selector; the store's key for its objects."""

    key: str
    path: str
    fields: str = ""

    @classmethod
    def of(cls, kind: Kind) -> Watched:
        root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        return cls(kind.key, f"{root}/{kind.plural}")

    @property
    def query(self) -> dict[str, str]:
        return {"fieldSelector": self.fields} if self.fields else {}


WATCHED: tuple[Watched, ...] = tuple(Watched.of(kind) for kind in (*KINDS, *OWNERS))
_IN_WORLD = frozenset(kind.key for kind in KINDS)


class ObjectStore:
    """The objects of each kind, current to within a watch event.

    `changed` is called with the key of a kind after a relevant change of its objects. `not_served` are the
    keys of the kinds that the API server does not serve.
    """

    def __init__(self, watched: Iterable[Watched], changed: Callable[[str], object]) -> None:
        self._watched = tuple(watched)
        self._changed = changed
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._tuples: dict[str, tuple[Object, ...]] = {}
        self.not_served: set[str] = set()
        self._snapshot: ClusterSnapshot | None = None

    @property
    def synced(self) -> bool:
        """Whether every kind has been listed at least once."""
        return len(self._objects) == len(self._watched)

    def of(self, key: str) -> tuple[Object, ...]:
        """The objects of one kind, sorted by namespace and name."""
        known = self._tuples.get(key)
        if known is None:
            objects = self._objects.get(key, {})
            known = self._tuples[key] = tuple(objects[place] for place in sorted(objects))
        return known

    def get(self, key: str, namespace: str, name: str) -> Object | None:
        """An object; None if it does not exist."""
        return self._objects.get(key, {}).get((namespace, name))

    def snapshot(self) -> ClusterSnapshot:
        """The present snapshot; the same value until one of its objects changes.

        It has no key for a kind that the API server does not serve.
        """
        if self._snapshot is None:
            self._snapshot = ClusterSnapshot({key: self.of(key) for key in _IN_WORLD - self.not_served})
        return self._snapshot

    def mark_not_served(self, key: str) -> None:
        """Removes the objects of a kind that is not served: a cluster need not have every API."""
        if key not in self.not_served:
            self.not_served.add(key)
            self._objects[key] = {}
            self._touch(key)

    def replace(self, key: str, objects: Iterable[Object]) -> None:
        """Replaces the objects of a kind."""
        fresh = {_key(item): _without_managed_fields(item) for item in objects}
        before = None if key in self.not_served else self._objects.get(key)
        self.not_served.discard(key)
        self._objects[key] = fresh
        if before is None or {p: _relevant(o) for p, o in before.items()} != {
            p: _relevant(o) for p, o in fresh.items()
        }:
            self._touch(key)

    def put(self, key: str, item: Object) -> None:
        """Adds or replaces an object."""
        fresh = _without_managed_fields(item)
        before = self._objects.setdefault(key, {}).get(_key(item))
        self._objects[key][_key(item)] = fresh
        if before is None or _relevant(before) != _relevant(fresh):
            self._touch(key)

    def remove(self, key: str, item: Object) -> None:
        """Removes an object."""
        if self._objects.setdefault(key, {}).pop(_key(item), None) is not None:
            self._touch(key)

    def _touch(self, key: str) -> None:
        self._tuples.pop(key, None)
        if key in _IN_WORLD:
            self._snapshot = None
        self._changed(key)

    async def follow(self, api: KubeClient) -> None:
        """Follows the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watched in self._watched:
                group.create_task(self._follow(api, watched))

    async def _follow(self, api: KubeClient, watched: Watched) -> None:
        version = ""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                if not version:
                    version = await self._list(api, watched)
                version = await self._watch(api, watched, version)
                pause = _FIRST_PAUSE_S
            except ApiError as error:
                if error.status == _NOT_FOUND:
                    # The definition may be created later.
                    self.mark_not_served(watched.key)
                    pause = _NOT_SERVED_PAUSE_S
                elif error.status != _GONE:
                    _LOG.warning("%s: %s", watched.path, error)
                if error.status:
                    version = ""
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _list(self, api: KubeClient, watched: Watched) -> str:
        answer = await api.request("GET", watched.path, query=watched.query)
        self.replace(watched.key, answer["items"])
        return str(answer["metadata"]["resourceVersion"])

    async def _watch(self, api: KubeClient, watched: Watched, version: str) -> str:
        async for event in api.watch(watched.path, {**watched.query, "resourceVersion": version}):
            item = event["object"]
            match event["type"]:
                case "ERROR":
                    raise ApiError(int(item.get("code", _GONE)), str(item.get("message", "")))
                case "DELETED":
                    self.remove(watched.key, item)
                case "ADDED" | "MODIFIED":
                    self.put(watched.key, item)
            version = str(item["metadata"]["resourceVersion"])
        return version


def _key(item: Object) -> tuple[str, str]:
    metadata = item["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def _without_managed_fields(item: Object) -> Object:
    """The object without managedFields, which are half of it."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    return {**item, "metadata": metadata}


def _relevant(item: Object) -> Mapping[str, Any]:
    """The part of an object whose changes matter: no resourceVersion, no heartbeats."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "resourceVersion"}
    essence: dict[str, Any] = {**item, "metadata": metadata}
    if "conditions" in essence.get("status", {}):
        essence["status"] = {
            **essence["status"],
            "conditions": [
                {key: value for key, value in condition.items() if key != "lastHeartbeatTime"}
                for condition in essence["status"]["conditions"]
            ],
        }
    return essence

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
"""Kinds that contain pods: wanted for metrics, of no concern to the compiler."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What to list and watch: a path, restricted by field if need be, kept under a key."""

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


class Store:
    """The objects of each kind, current to within a watch event.

    `changed` is called with the key of a kind after its objects changed in a way that matters. `not_served`
    are the keys of the kinds that the API server does not have.
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
        """Whether every kind was listed at least once."""
        return len(self._objects) == len(self._watched)

    def of(self, key: str) -> tuple[Object, ...]:
        """The objects of one kind, sorted by namespace and name."""
        known = self._tuples.get(key)
        if known is None:
            objects = self._objects.get(key, {})
            known = self._tuples[key] = tuple(objects[place] for place in sorted(objects))
        return known

    def get(self, key: str, namespace: str, name: str) -> Object | None:
        """One object; None if there is none."""
        return self._objects.get(key, {}).get((namespace, name))

    def snapshot(self) -> ClusterSnapshot:
        """The world of this moment; the same value as long as nothing in it changed.

        It has no key for a kind that the API server does not serve.
        """
        if self._snapshot is None:
            self._snapshot = ClusterSnapshot({key: self.of(key) for key in _IN_WORLD - self.not_served})
        return self._snapshot

    def lose(self, key: str) -> None:
        """Forgets the objects of a kind that is not served: a cluster need not have every API."""
        if key not in self.not_served:
            self.not_served.add(key)
            self._objects[key] = {}
            self._touch(key)

    def replace(self, key: str, objects: Iterable[Object]) -> None:
        """Makes these the objects of a kind."""
        fresh = {_place(thing): _slim(thing) for thing in objects}
        before = None if key in self.not_served else self._objects.get(key)
        self.not_served.discard(key)
        self._objects[key] = fresh
        if before is None or {p: _essence(o) for p, o in before.items()} != {
            p: _essence(o) for p, o in fresh.items()
        }:
            self._touch(key)

    def put(self, key: str, thing: Object) -> None:
        """Adds or replaces one object."""
        fresh = _slim(thing)
        before = self._objects.setdefault(key, {}).get(_place(thing))
        self._objects[key][_place(thing)] = fresh
        if before is None or _essence(before) != _essence(fresh):
            self._touch(key)

    def remove(self, key: str, thing: Object) -> None:
        """Forgets one object."""
        if self._objects.setdefault(key, {}).pop(_place(thing), None) is not None:
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
                    # Its definition may come later.
                    self.lose(watched.key)
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
            thing = event["object"]
            match event["type"]:
                case "ERROR":
                    raise ApiError(int(thing.get("code", _GONE)), str(thing.get("message", "")))
                case "DELETED":
                    self.remove(watched.key, thing)
                case "ADDED" | "MODIFIED":
                    self.put(watched.key, thing)
            version = str(thing["metadata"]["resourceVersion"])
        return version


def _place(thing: Object) -> tuple[str, str]:
    metadata = thing["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def _slim(thing: Object) -> Object:
    """The object without the book-keeping of field managers, which is half of it."""
    metadata = {key: value for key, value in thing["metadata"].items() if key != "managedFields"}
    return {**thing, "metadata": metadata}


def _essence(thing: Object) -> Mapping[str, Any]:
    """What must differ for a change to matter."""
    metadata = {key: value for key, value in thing["metadata"].items() if key != "resourceVersion"}
    essence: dict[str, Any] = {**thing, "metadata": metadata}
    if "conditions" in essence.get("status", {}):
        essence["status"] = {
            **essence["status"],
            "conditions": [
                {key: value for key, value in condition.items() if key != "lastHeartbeatTime"}
                for condition in essence["status"]["conditions"]
            ],
        }
    return essence

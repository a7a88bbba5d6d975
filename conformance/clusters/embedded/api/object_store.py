"""The objects of the embedded cluster, their versions, and subscribers to changes. In memory, synchronous."""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from conformance.clusters.embedded.api.api_errors import StatusError, not_found

Object = dict[str, Any]
"""An object in the store is never mutated, so callers may keep it."""
ObjectName = tuple[str, str]
"""Namespace (empty for cluster-scoped objects) and name."""
WatchEventType = Literal["ADDED", "MODIFIED", "DELETED"]
_HISTORY = 20_000


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A change: its type, the resource's key, the object, and the version of the store."""

    type: WatchEventType
    key: str
    object: Object
    version: int
    before: Object | None = None


Subscriber = Callable[[WatchEvent], None]


@dataclass(slots=True)
class Store:
    """Objects by resource and name. Every change has its own version and notifies the subscribers."""

    _objects: dict[str, dict[ObjectName, Object]] = field(default_factory=dict)
    _history: deque[WatchEvent] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    _subscribers: dict[int, Subscriber] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    version: int = 1

    def get(self, key: str, namespace: str, name: str) -> Object:
        """An object. Raises StatusError (404)."""
        found = self.find(key, namespace, name)
        if found is None:
            raise not_found(key, name)
        return found

    def find(self, key: str, namespace: str, name: str) -> Object | None:
        """An object, or None."""
        return self._objects.get(key, {}).get((namespace, name))

    def list(self, key: str, namespace: str = "") -> list[Object]:
        """The objects of a resource, in one namespace or all, by name."""
        found = self._objects.get(key, {})
        return [found[name] for name in sorted(found) if not namespace or name[0] == namespace]

    def resources(self) -> tuple[str, ...]:
        """The keys of all resources that have or had objects."""
        return tuple(self._objects)

    def create(self, key: str, obj: Object) -> Object:
        """Add an object, with the metadata that the server sets. Raises StatusError (409)."""
        metadata = obj["metadata"]
        place = metadata.get("namespace", ""), metadata["name"]
        if place in self._objects.get(key, {}):
            raise StatusError(409, f'{key} "{place[1]}" already exists', "AlreadyExists")
        # The uid distinguishes the object from its predecessors, whose rights it must not inherit.
        written = {
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now(),
            "generation": 1,
        }
        return self._put("ADDED", key, place, {**obj, "metadata": {**metadata, **written}})

    def replace(self, key: str, obj: Object) -> Object:
        """Replace the object of that name. Raises StatusError (404, 409 if stale)."""
        metadata = obj["metadata"]
        place = metadata.get("namespace", ""), metadata["name"]
        before = self.get(key, *place)
        old = before["metadata"]
        if metadata.get("resourceVersion") not in (None, "", old["resourceVersion"]):
            message = "the object has been modified; please apply your changes to the latest version"
            raise StatusError(409, f'Operation cannot be fulfilled on {key} "{place[1]}": {message}')
        kept = {name: old[name] for name in ("uid", "creationTimestamp", "generation") if name in old}
        if "deletionTimestamp" in old:
            kept["deletionTimestamp"] = old["deletionTimestamp"]
        if _generation_fields(before) != _generation_fields(obj):
            kept["generation"] = old["generation"] + 1
        after = {**obj, "metadata": {**metadata, **kept, "resourceVersion": old["resourceVersion"]}}
        return before if after == before else self._put("MODIFIED", key, place, after)

    def remove(self, key: str, namespace: str, name: str) -> Object | None:
        """Remove an object; None if it is missing."""
        obj = self._objects.get(key, {}).pop((namespace, name), None)
        if obj is None:
            return None
        self.version += 1
        last = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self._notify(WatchEvent("DELETED", key, last, self.version))
        return last

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call the subscriber on every change from now on; the returned function ends that."""
        number = next(self._numbers)
        self._subscribers[number] = subscriber

        def unsubscribe() -> None:
            self._subscribers.pop(number, None)

        return unsubscribe

    def events_since(self, key: str, version: int) -> tuple[WatchEvent, ...]:
        """The changes of a resource after a version. Raises StatusError (410) beyond the history."""
        if self._history and len(self._history) == _HISTORY and version < self._history[0].version:
            raise StatusError(410, f"too old resource version: {version} ({self._history[0].version})")
        return tuple(event for event in self._history if event.key == key and event.version > version)

    def _put(self, event_type: WatchEventType, key: str, place: ObjectName, obj: Object) -> Object:
        self.version += 1
        stored = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        known = self._objects.setdefault(key, {})
        before, known[place] = known.get(place), stored
        self._notify(WatchEvent(event_type, key, stored, self.version, before))
        return stored

    def _notify(self, event: WatchEvent) -> None:
        self._history.append(event)
        for subscriber in list(self._subscribers.values()):
            subscriber(event)


def now() -> str:
    """The current time as a Kubernetes timestamp."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _generation_fields(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The fields whose change increments the generation."""
    return {name: value for name, value in obj.items() if name not in {"metadata", "status"}}

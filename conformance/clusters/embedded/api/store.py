"""The objects of the embedded cluster, their versions, and who watches them. In memory, synchronous."""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from conformance.clusters.embedded.api.errors import Refusal, not_found

Object = dict[str, Any]
"""Objects in the store are never changed in place: whoever has one may keep it."""
Name = tuple[str, str]
"""Namespace (empty for what has none) and name."""
Happening = Literal["ADDED", "MODIFIED", "DELETED"]
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Event:
    """A change: what happened, to an object of which resource, at which version of the store."""

    type: Happening
    key: str
    object: Object
    version: int
    before: Object | None = None


Listener = Callable[[Event], None]


@dataclass(slots=True)
class Store:
    """Objects by resource and name. Every change gets a version of its own and is told to the listeners."""

    _objects: dict[str, dict[Name, Object]] = field(default_factory=dict)
    _history: deque[Event] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _listeners: dict[int, Listener] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    version: int = 1

    def get(self, key: str, namespace: str, name: str) -> Object:
        """One object. Raises Refusal (404)."""
        found = self.find(key, namespace, name)
        if found is None:
            raise not_found(key, name)
        return found

    def find(self, key: str, namespace: str, name: str) -> Object | None:
        """One object, None where there is none."""
        return self._objects.get(key, {}).get((namespace, name))

    def list(self, key: str, namespace: str = "") -> list[Object]:
        """The objects of a resource, of one namespace or of all, by name."""
        found = self._objects.get(key, {})
        return [found[name] for name in sorted(found) if not namespace or name[0] == namespace]

    def resources(self) -> tuple[str, ...]:
        """The resources that have had objects."""
        return tuple(self._objects)

    def create(self, key: str, thing: Object) -> Object:
        """Add an object, with what the server itself writes. Raises Refusal (409)."""
        metadata = thing["metadata"]
        place = metadata.get("namespace", ""), metadata["name"]
        if place in self._objects.get(key, {}):
            raise Refusal(409, f'{key} "{place[1]}" already exists', "AlreadyExists")
        # Rights to a name do not outlive who had it: owners are told apart by uid.
        written = {
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now(),
            "generation": 1,
        }
        return self._put("ADDED", key, place, {**thing, "metadata": {**metadata, **written}})

    def replace(self, key: str, thing: Object) -> Object:
        """Put an object in the place of the one of its name. Raises Refusal (404, 409 where it is stale)."""
        metadata = thing["metadata"]
        place = metadata.get("namespace", ""), metadata["name"]
        before = self.get(key, *place)
        old = before["metadata"]
        if metadata.get("resourceVersion") not in (None, "", old["resourceVersion"]):
            message = "the object has been modified; please apply your changes to the latest version"
            raise Refusal(409, f'Operation cannot be fulfilled on {key} "{place[1]}": {message}')
        kept = {name: old[name] for name in ("uid", "creationTimestamp", "generation") if name in old}
        if "deletionTimestamp" in old:
            kept["deletionTimestamp"] = old["deletionTimestamp"]
        if _meaning(before) != _meaning(thing):
            kept["generation"] = old["generation"] + 1
        after = {**thing, "metadata": {**metadata, **kept, "resourceVersion": old["resourceVersion"]}}
        return before if after == before else self._put("MODIFIED", key, place, after)

    def remove(self, key: str, namespace: str, name: str) -> Object | None:
        """Take an object out; None where it is gone already."""
        thing = self._objects.get(key, {}).pop((namespace, name), None)
        if thing is None:
            return None
        self.version += 1
        last = {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}}
        self._tell(Event("DELETED", key, last, self.version))
        return last

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell somebody of every change from now on; what is returned ends that."""
        number = next(self._numbers)
        self._listeners[number] = listener

        def end() -> None:
            self._listeners.pop(number, None)

        return end

    def since(self, key: str, version: int) -> tuple[Event, ...]:
        """The changes of a resource after a version. Raises Refusal (410) where they are forgotten."""
        if self._history and len(self._history) == _REMEMBERED and version < self._history[0].version:
            raise Refusal(410, f"too old resource version: {version} ({self._history[0].version})")
        return tuple(event for event in self._history if event.key == key and event.version > version)

    def _put(self, happening: Happening, key: str, place: Name, thing: Object) -> Object:
        self.version += 1
        stored = {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}}
        known = self._objects.setdefault(key, {})
        before, known[place] = known.get(place), stored
        self._tell(Event(happening, key, stored, self.version, before))
        return stored

    def _tell(self, event: Event) -> None:
        self._history.append(event)
        for listener in list(self._listeners.values()):
            listener(event)


def now() -> str:
    """This moment, as objects have it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _meaning(thing: Mapping[str, Any]) -> dict[str, Any]:
    """What a change of makes a new generation."""
    return {name: value for name, value in thing.items() if name not in {"metadata", "status"}}

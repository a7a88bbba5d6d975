"""Faults that show while a change of a split is on its way, or while its backends come and go."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from reference.faults import Fault
from reference.faults.spoilers import SpoiltWorld
from reference.metrics import Figures
from reference.spoiler import Faithful
from reference.world import Object, World, name_of, namespace_of

_ON_ITS_WAY_S = 0.3
"""How long an edit is on its way."""


def _only_if_complete(world: World) -> World:
    services = {(namespace_of(service), name_of(service)) for service in world.of("services")}
    kept = [
        split
        for split in world.of("trafficsplits")
        if all((namespace_of(split), one["service"]) in services for one in split["spec"]["backends"])
    ]
    return world.replacing("trafficsplits", kept)


def _nothing_at_first(split: Object) -> list[Object]:
    return []


def _everything_to_the_last(split: Object) -> list[Object]:
    copied: dict[str, Any] = copy.deepcopy(dict(split))
    backends = copied["spec"]["backends"]
    for backend in backends[:-1]:
        backend["weight"] = 0
    return [copied]


class _EditsOnTheirWay(Faithful):
    """For a moment after each edit of a split, shows something else in its place."""

    def __init__(self, meanwhile: Callable[[Object], list[Object]]) -> None:
        self._meanwhile = meanwhile
        self._spec: dict[str, object] = {}
        self._edited_at: dict[str, float] = {}

    def observe(self, figures: Figures) -> bool:
        now = time.monotonic()
        over = [uid for uid, at in self._edited_at.items() if now - at > _ON_ITS_WAY_S]
        for uid in over:
            del self._edited_at[uid]
        return bool(over)

    def world(self, world: World) -> World:
        shown: list[Object] = []
        for split in world.of("trafficsplits"):
            uid, spec = split["metadata"]["uid"], split["spec"]
            if self._spec.setdefault(uid, spec) != spec:
                self._spec[uid], self._edited_at[uid] = spec, time.monotonic()
            shown += self._meanwhile(split) if uid in self._edited_at else [split]
        return world.replacing("trafficsplits", shown)


FAULTS = (
    Fault(
        "split-dropped-for-a-missing-backend",
        "A split one of whose backends does not exist yet has no effect.",
        frozenset({"split-backend-precreated-zero", "interact-canary-rollout"}),
        lambda: SpoiltWorld(_only_if_complete),
        origins=("one-odd-object-stalls-everything",),
    ),
    Fault(
        "split-edits-remove-first",
        "An edited split is gone for a moment before its new weights hold.",
        frozenset({"interact-canary-rollout"}),
        lambda: _EditsOnTheirWay(_nothing_at_first),
    ),
    Fault(
        "split-edits-overshoot",
        "After an edit everything goes to the last backend for a moment.",
        frozenset({"interact-canary-rollout", "split-live-edits"}),
        lambda: _EditsOnTheirWay(_everything_to_the_last),
    ),
)

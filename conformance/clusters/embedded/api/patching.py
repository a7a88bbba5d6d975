"""Patches: merge patch, JSON patch, and server-side apply as far as one manager for each object needs it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jsonpatch

from conformance.clusters.embedded.api.errors import Refusal


def merge(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386): null removes, objects merge, everything else takes the place."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def json_patch(target: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """A JSON patch (RFC 6902). Raises Refusal (422)."""
    try:
        return jsonpatch.apply_patch(target, [dict(one) for one in operations])
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError) as error:
        raise Refusal(422, f"JSON patch: {error}") from error


Keys = Mapping[str, str]
POD_LISTS: Keys = {
    "containers": "name",
    "env": "name",
    "initContainers": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""The lists in a pod of which each entry is on its own, by name, and what tells their entries apart."""


def apply(current: Any, before: Any, applied: Any, keys: Keys = MappingProxyType({})) -> Any:
    """Server-side apply: what a manager applies now, over what is there.

    ``before`` is what the same manager applied last time: what it leaves out now goes. Lists are taken as a
    whole, but for those of ``keys``. Conflicts with other managers are settled in favour of who applies.
    """
    if not isinstance(applied, Mapping):
        return copy.deepcopy(applied)
    earlier = before if isinstance(before, Mapping) else {}
    result = dict(current) if isinstance(current, Mapping) else {}
    for key, value in earlier.items():
        if key not in applied and key in result:
            left = _without(result[key], value)
            if left is None:
                del result[key]
            else:
                result[key] = left
    for key, value in applied.items():
        if key in keys and isinstance(value, Sequence):
            result[key] = _apply_entries(result.get(key), earlier.get(key), value, keys, keys[key])
        else:
            result[key] = apply(result.get(key), earlier.get(key), value, keys)
    return result


def _apply_entries(current: Any, before: Any, applied: Sequence[Any], keys: Keys, name: str) -> list[Any]:
    """The entries of a list, in the order in which they are there, then the new ones."""
    there = {entry[name]: entry for entry in current or ()}
    earlier = {entry[name]: entry for entry in before or ()}
    wanted = {entry[name]: entry for entry in applied}
    kept = [one for one in there if one in wanted or one not in earlier]
    return [
        apply(there.get(one), earlier.get(one), wanted[one], keys) if one in wanted else there[one]
        for one in [*kept, *(one for one in wanted if one not in there)]
    ]


def _without(current: Any, owned: Any) -> Any:
    """What is left of a value when what a manager owned of it goes; None for nothing."""
    if not isinstance(current, Mapping) or not isinstance(owned, Mapping):
        return None
    rest = {}
    for key, value in current.items():
        left = _without(value, owned[key]) if key in owned else value
        if left is not None:
            rest[key] = left
    return rest or None

"""Patches: merge patch, JSON patch, and server-side apply as far as one manager for each object needs it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

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
    """A JSON patch (RFC 6902) of add, replace and remove. Raises Refusal (422)."""
    document = copy.deepcopy(target)
    for operation in operations:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        if not parts:
            raise Refusal(422, "a JSON patch of the whole document is not taken")
        try:
            parent = document
            for part in parts[:-1]:
                listed = isinstance(parent, list)
                parent = parent[_index(part, len(parent) - 1)] if listed else parent[part]
            _operate(parent, parts[-1], operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise Refusal(422, f"JSON patch of {operation['path']}: {error!r}") from error
    return document


def _operate(parent: Any, last: str, operation: Mapping[str, Any]) -> None:
    match operation["op"], parent:
        case "add", list():
            parent.insert(len(parent) if last == "-" else _index(last, len(parent)), operation["value"])
        case "replace", list():
            parent[_index(last, len(parent) - 1)] = operation["value"]
        case "remove", list():
            del parent[_index(last, len(parent) - 1)]
        case "replace", dict() if last not in parent:
            raise KeyError(last)
        case "add" | "replace", dict():
            parent[last] = operation["value"]
        case "remove", dict():
            del parent[last]
        case other, _:
            raise ValueError(f"operation {other!r}")


def _index(text: str, highest: int) -> int:
    number = int(text)
    if not 0 <= number <= highest:
        raise IndexError(number)
    return number


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

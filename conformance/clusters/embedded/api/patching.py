"""Patches: merge patch, JSON patch, and server-side apply for a single manager per object."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jsonpatch

from conformance.clusters.embedded.api.api_errors import StatusError


def merge(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386): null removes, objects merge, everything else replaces."""
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
    """A JSON patch (RFC 6902). Raises StatusError (422)."""
    try:
        return jsonpatch.apply_patch(target, [dict(each) for each in operations])
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError) as error:
        raise StatusError(422, f"JSON patch: {error}") from error


Keys = Mapping[str, str]
POD_LISTS: Keys = {
    "containers": "name",
    "env": "name",
    "initContainers": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""The list fields of a pod that merge by entry, and the key of their entries."""


def apply(current: Any, before: Any, applied: Any, keys: Keys = MappingProxyType({})) -> Any:
    """Server-side apply: a manager's configuration, merged into the current object.

    ``before`` is the manager's last applied configuration: fields that ``applied`` omits are removed. Lists
    are atomic, except those of ``keys``. Conflicts with other managers are overridden.
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
    """The entries of a list: the existing in their order, then the new."""
    existing = {entry[name]: entry for entry in current or ()}
    earlier = {entry[name]: entry for entry in before or ()}
    wanted = {entry[name]: entry for entry in applied}
    kept = [key for key in existing if key in wanted or key not in earlier]
    added = [key for key in wanted if key not in existing]
    return [
        apply(existing.get(key), earlier.get(key), wanted[key], keys) if key in wanted else existing[key]
        for key in [*kept, *added]
    ]


def _without(current: Any, owned: Any) -> Any:
    """A value without the fields that a manager owned; None if nothing is left."""
    if not isinstance(current, Mapping) or not isinstance(owned, Mapping):
        return None
    rest = {}
    for key, value in current.items():
        left = _without(value, owned[key]) if key in owned else value
        if left is not None:
            rest[key] = left
    return rest or None

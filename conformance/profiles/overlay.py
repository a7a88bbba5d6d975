"""Overlays on profiles: the differences of a fault or variant from its mesh's profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.profiles import Profile


def overlaid(profile: Profile, changes: Mapping[str, Any]) -> Profile:
    """The profile with these changes, merged key by key; None removes a key. Raises ValidationError."""
    return Profile.model_validate(_merged(profile.model_dump(exclude_none=True), changes))


def _merged(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(values)
    for key, value in changes.items():
        if value is None:
            changed.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(changed.get(key), dict):
            changed[key] = _merged(changed[key], value)
        else:
            changed[key] = value
    return changed

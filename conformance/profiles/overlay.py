"""Profiles laid over others: what of a mesh is different in one of its variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.profiles import Profile


def overlaid(profile: Profile, changes: Mapping[str, Any]) -> Profile:
    """A profile with other values here and there; None takes a key away. Raises ValidationError."""
    return Profile.model_validate(_laid_over(profile.model_dump(exclude_none=True), changes))


def _laid_over(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(values)
    for key, value in changes.items():
        if value is None:
            changed.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(changed.get(key), dict):
            changed[key] = _laid_over(changed[key], value)
        else:
            changed[key] = value
    return changed

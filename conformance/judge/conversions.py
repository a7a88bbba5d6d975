"""Whether an object keeps its meaning between two versions of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from conformance.judge.phrasing import listed
from conformance.judge.quantity import parse_quantity
from conformance.judge.smi_objects import differences
from conformance.model.evidence import Conversion, Reads

_HEAD = frozenset({"apiVersion", "kind", "metadata"})
_QUANTITY_WEIGHTS = "v1alpha1"
"""The TrafficSplit version whose weights are Kubernetes quantities; later versions have whole numbers."""


def outcome(conversion: Conversion) -> Reads:
    """How the object as read compares with the object as written, by meaning.

    *either*: meaning and wire format are unchanged, as nothing had to be converted; *renamed*: the apiVersion
    is the other version's, the body still its own version's.
    """
    if not conversion.read_in:
        return "alone"
    if conversion.status != 200:
        return "changed"
    if not lost(conversion):
        return "either" if _body(conversion.sent) == _body(conversion.meant) else "same"
    return "changed" if list(differences(_body(conversion.sent), _body(conversion.read))) else "renamed"


def lost(conversion: Conversion) -> list[str]:
    """The parts of the meaning that are missing or different in the object as read."""
    version = str(conversion.meant.get("apiVersion"))
    meant, read = (
        _with_relative_weights(_body(item), version) for item in (conversion.meant, conversion.read)
    )
    return list(differences(meant, read))


def describe(conversion: Conversion) -> str:
    """The outcome as a sentence."""
    match outcome(conversion):
        case "alone":
            return "there is no other version to compare with"
        case "renamed":
            return "read as it was written, under another apiVersion"
        case "changed" if conversion.status != 200:
            return f"not read (HTTP {conversion.status})"
        case "changed":
            return listed(lost(conversion))
        case _:
            return "read with the same meaning"


def _body(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in _HEAD}


def _with_relative_weights(body: Mapping[str, Any], api_version: str) -> dict[str, Any]:
    """The body with each backend's weight, if valid in its version, as a portion of their sum."""
    spec = body.get("spec")
    backends = spec.get("backends") if isinstance(spec, Mapping) else None
    if not isinstance(spec, Mapping) or not isinstance(backends, list | tuple):
        return dict(body)
    quantities = api_version.endswith(f"/{_QUANTITY_WEIGHTS}")
    weights = [_weight(entry, quantities=quantities) for entry in backends]
    total = sum(weight or 0 for weight in weights)
    shared = [
        {**entry, "weight": f"{weight / total} of all"} if weight is not None and total else entry
        for entry, weight in zip(backends, weights, strict=True)
    ]
    return {**body, "spec": {**spec, "backends": shared}}


def _weight(backend: Any, *, quantities: bool) -> Fraction | None:
    weight = backend.get("weight") if isinstance(backend, Mapping) else None
    if isinstance(weight, bool) or (isinstance(weight, str) and not quantities):
        return None
    try:
        return parse_quantity(weight)
    except ValueError:
        return None

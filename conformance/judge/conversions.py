"""What became of an object's meaning between two versions of its kind."""

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
"""The version of splits whose weights are Kubernetes quantities; later ones have whole numbers."""


def outcome(one: Conversion) -> Reads:
    """How what was read compares with what was written, by meaning.

    *either* where meaning and wire format are those that were written, so that nothing was to be converted;
    *renamed* where it is written in the other version's name and still in its own version's way.
    """
    if not one.read_in:
        return "alone"
    if one.status != 200:
        return "changed"
    if not lost(one):
        return "either" if _body(one.sent) == _body(one.meant) else "same"
    return "changed" if list(differences(_body(one.sent), _body(one.read))) else "renamed"


def lost(one: Conversion) -> list[str]:
    """What of the meaning is not there, or is another, where it was read."""
    version = str(one.meant.get("apiVersion"))
    meant, read = (_with_relative_weights(_body(item), version) for item in (one.meant, one.read))
    return list(differences(meant, read))


def describe(one: Conversion) -> str:
    """The outcome in words."""
    match outcome(one):
        case "alone":
            return "there is no other version to compare with"
        case "renamed":
            return "read as it was written, under another apiVersion"
        case "changed" if one.status != 200:
            return f"not read (HTTP {one.status})"
        case "changed":
            return listed(lost(one))
        case _:
            return "read with the same meaning"


def _body(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in _HEAD}


def _with_relative_weights(body: Mapping[str, Any], api_version: str) -> dict[str, Any]:
    """The body with the weights of backends as parts of their sum, where they are such as the version has."""
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

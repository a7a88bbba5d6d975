"""Faults of objects that violate their version's schema: their admission and interpretation."""

from __future__ import annotations

from typing import Any

from smi_reference_mesh.faults.building_blocks import FaultyObjects
from smi_reference_mesh.faults.cluster import GROUPS, Document, schemas
from smi_reference_mesh.faults.fault import Fault

_MISPLACED = "matches where another version has them"
_AT_TOP = "matches of the A/B example at top level"
_NAMES = ("any", "meant")
"""The matches given to a group without any; a rule that names matches names one of these."""
_UNDER_SPEC = ("v1alpha3", "v1alpha4")
"""Versions of specs whose groups have their matches under spec."""


def _without_spec(schema: Document) -> None:
    schema.pop("required", None)


def _of_any_shape(schema: Document) -> None:
    _without_spec(schema)
    schema["x-kubernetes-preserve-unknown-fields"] = True


def _anything_without_spec(group: dict[str, Any]) -> None:
    group.setdefault("spec", {"matches": [{"name": name} for name in _NAMES]})


FAULTS = (
    Fault(
        "crd-groups-of-any-shape",
        "HTTPRouteGroup is kept with whatever fields it has, and its matches are read where they stand.",
        frozenset(),
        change=schemas(GROUPS, _of_any_shape, *_UNDER_SPEC),
        expected_readings={
            "common-unknown-fields": f"{_MISPLACED}: none",
            "split-example-errata": f"{_AT_TOP}: b",
        },
    ),
    Fault(
        "crd-groups-without-spec",
        "HTTPRouteGroup is taken without spec; matches at top level are dropped.",
        frozenset(),
        change=schemas(GROUPS, _without_spec, *_UNDER_SPEC),
        expected_readings={"common-unknown-fields": f"{_MISPLACED}: a"},
    ),
    Fault(
        "groups-without-spec-are-any",
        "HTTPRouteGroup is taken without spec, and a group without spec opens everything.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _anything_without_spec),
        change=schemas(GROUPS, _without_spec, *_UNDER_SPEC),
        expected_readings={
            "common-unknown-fields": f"{_MISPLACED}: unacceptable",
            "split-example-errata": f"{_AT_TOP}: unacceptable",
        },
    ),
)

"""Objects as tables, for `kubectl get`: the printer columns of custom resource definitions.

Source: meta.k8s.io/v1 Table; apiextensions.k8s.io/v1 CustomResourceColumnDefinition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_NAME = {
    "name": "Name", "type": "string", "format": "name", "priority": 0,
    "description": "Name must be unique within a namespace.",
}  # fmt: skip
_AGE = {
    "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
    "description": "When the object was created.",
}  # fmt: skip


def wanted(accept: str) -> bool:
    """Whether an Accept header prefers a table."""
    return "as=Table" in accept.partition(",")[0].replace(" ", "")


def columns(definition: Mapping[str, Any] | None, version: str) -> Sequence[Mapping[str, Any]]:
    """The columns after the name that a definition lists for a version, by default the age."""
    versions = definition["spec"]["versions"] if definition else ()
    listed = [each.get("additionalPrinterColumns") for each in versions if each["name"] == version]
    return next((each for each in listed if each), [_AGE])


def table(
    items: Iterable[Mapping[str, Any]], extra: Sequence[Mapping[str, Any]], version: str
) -> dict[str, Any]:
    """A Table with a row for each object; ``version`` is that of the list."""
    shown = [
        {"format": "", "description": "", "priority": 0, **{k: v for k, v in each.items() if k != "jsonPath"}}
        for each in extra
    ]
    rows = [
        {
            "cells": [obj["metadata"]["name"], *(_at(obj, each["jsonPath"]) for each in extra)],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"],
            },
        }
        for obj in items
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [_NAME, *shown],
        "rows": rows,
    }


def _at(obj: Any, path: str) -> Any:
    """The value at a path of plain names, or None."""
    for part in path.strip(".").split("."):
        obj = obj.get(part) if isinstance(obj, Mapping) else None
    return obj

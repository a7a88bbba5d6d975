"""Fixtures: manifests as kubectl takes them, placed as parsed objects into a run's own namespaces."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from conformance.clusters import Object
from conformance.drive.cluster_rules import NO_RULES, ClusterRules
from conformance.text import yamlio

RUN_LABEL = "smi-conformance.dev/run"
WORKLOAD_ANNOTATION = "smi-conformance.dev/workload"
DOMAIN = "cluster.local"
"""The domain of clusters unless told otherwise, as fixtures have it."""
STOCK_IMAGE = "python:3.11-slim"
"""The image that the fixtures name; --image puts another in its place."""


def folder() -> Traversable:
    """Where the fixtures are: beside the package in a checkout, inside it when installed."""
    checkout = Path(__file__).resolve().parents[2] / "fixtures"
    return checkout if checkout.is_dir() else resources.files("conformance") / "fixtures"


def files(name: str) -> list[str]:
    """The fixture files of a folder, such as ``traffic-split/delete``, by the names that ``load`` takes."""
    entry = folder()
    for part in name.split("/"):
        entry = entry / part
    found = [one.name for one in entry.iterdir()] if entry.is_dir() else []
    return sorted(f"{name}/{one}" for one in found if one.endswith(".yaml"))


def load(name: str) -> list[dict[str, Any]]:
    """The objects of one fixture file, such as ``traffic-split/weights/split.yaml``; Lists are opened."""
    # Anchors make one object of what is written once: a copy of each item sets them apart.
    return [copy.deepcopy(item) for item in _parsed(name)]


@cache
def _parsed(name: str) -> tuple[dict[str, Any], ...]:
    entry = folder()
    for part in name.split("/"):
        entry = entry / part
    objects: list[dict[str, Any]] = []
    for document in yamlio.load_all(entry.read_text(encoding="utf-8")):
        if document is None:
            continue
        objects += document["items"] if document["kind"] == "List" else [document]
    return tuple(objects)


@cache
def services(*names: str) -> Mapping[tuple[str, str], Object]:
    """The Services of fixture files by the namespace and name that stand there."""
    return {
        (item["metadata"]["namespace"], item["metadata"]["name"]): item
        for name in names
        for item in _parsed(name)
        if item["kind"] == "Service"
    }


def exists(name: str) -> bool:
    """Whether there is such a fixture file."""
    entry = folder()
    for part in name.split("/"):
        entry = entry / part
    return entry.is_file()


@dataclass(frozen=True, slots=True)
class RunScope:
    """Where a run puts fixtures: its label, its namespaces by the names that fixtures use, its image."""

    run: str
    image: str = STOCK_IMAGE
    domain: str = DOMAIN
    """The cluster's, in names of services that are written in full."""
    rules: ClusterRules = NO_RULES
    """The cluster's, which all keep to that are placed."""

    def namespace(self, name: str) -> str:
        """The run's own namespace for a fixture's (``smi-main`` becomes ``smi-main-<run>``)."""
        return f"{name}-{self.run}"

    def localize(self, objects: Iterable[Object], namespaces: Iterable[str]) -> list[dict[str, Any]]:
        """The objects with the run's namespaces, label and image; everything else stays as written."""
        mapping = {name: self.namespace(name) for name in namespaces} | {STOCK_IMAGE: self.image}
        placed = []
        for item in objects:
            copied = _replace(item, mapping, self.domain)
            metadata = copied["metadata"]
            metadata["labels"] = {**metadata.get("labels", {}), RUN_LABEL: self.run}
            template = copied.get("spec", {}).get("template")
            if isinstance(template, dict) and "metadata" in template:
                labels = template["metadata"].setdefault("labels", {})
                labels[RUN_LABEL] = self.run
            self.rules.apply_to(copied)
            placed.append(copied)
        return placed


def _replace(value: Any, mapping: Mapping[str, str], domain: str) -> Any:
    if isinstance(value, str):
        # A name of a service may be followed by its namespace, as in ``v2.smi-main``.
        name, dot, rest = value.partition(".")
        namespace, more, last = rest.partition(".")
        if dot and namespace in mapping:
            return f"{name}.{mapping[namespace]}{more}{last.replace(DOMAIN, domain)}"
        return mapping.get(value, value)
    if isinstance(value, Mapping):
        return {key: _replace(inner, mapping, domain) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(inner, mapping, domain) for inner in value]
    return value


def fill_namespace(objects: Iterable[Object], namespace: str) -> list[dict[str, Any]]:
    """A profile's own objects for a namespace: ``$namespace`` in any string stands for its name."""

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("$namespace", namespace)
        if isinstance(value, Mapping):
            return {key: fill(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [fill(inner) for inner in value]
        return value

    filled = []
    for item in objects:
        copied = fill(item)
        copied["metadata"].setdefault("namespace", namespace)
        filled.append(copied)
    return filled

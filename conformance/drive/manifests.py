"""Fixtures: manifests in kubectl's format, localized as parsed objects to a run's namespaces."""

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
"""The default domain of clusters, as in the fixtures."""
STOCK_IMAGE = "python:3.11-slim"
"""The image in the fixtures; --image replaces it."""
SERVICES = "services.yaml"
"""The file in a scenario's folder with the Services that it adds to the arena."""


def folder() -> Traversable:
    """The folder of the fixtures: beside the package in a checkout, inside it if installed."""
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
    """The objects of one fixture file, such as ``traffic-split/weights/split.yaml``; Lists are expanded."""
    # YAML anchors share objects: a copy of each item separates them.
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
    """The Services of fixture files, by namespace and name as in the fixture."""
    return {
        (item["metadata"]["namespace"], item["metadata"]["name"]): item
        for name in names
        for item in _parsed(name)
        if item["kind"] == "Service"
    }


def exists(name: str) -> bool:
    """Whether a fixture file exists."""
    entry = folder()
    for part in name.split("/"):
        entry = entry / part
    return entry.is_file()


@dataclass(frozen=True, slots=True)
class RunScope:
    """The run-specific values that replace those of fixtures: label, namespaces, image, domain, rules."""

    run: str
    image: str = STOCK_IMAGE
    domain: str = DOMAIN
    """The cluster's domain, for full names of Services."""
    rules: ClusterRules = NO_RULES
    """The cluster's rules, applied to every object."""

    def namespace(self, name: str) -> str:
        """The run's namespace for a fixture's (``smi-main`` becomes ``smi-main-<run>``)."""
        return f"{name}-{self.run}"

    def localize(self, objects: Iterable[Object], namespaces: Iterable[str]) -> list[dict[str, Any]]:
        """The objects with the run's namespaces, label, image and rules; all else stays as written."""
        mapping = {name: self.namespace(name) for name in namespaces} | {STOCK_IMAGE: self.image}
        localized = []
        for item in objects:
            copied = _replace(item, mapping, self.domain)
            metadata = copied["metadata"]
            metadata["labels"] = {**metadata.get("labels", {}), RUN_LABEL: self.run}
            template = copied.get("spec", {}).get("template")
            if isinstance(template, dict) and "metadata" in template:
                labels = template["metadata"].setdefault("labels", {})
                labels[RUN_LABEL] = self.run
            self.rules.apply_to(copied)
            localized.append(copied)
        return localized


def _replace(value: Any, mapping: Mapping[str, str], domain: str) -> Any:
    if isinstance(value, str):
        # The name of a Service may be qualified by its namespace, as in ``v2.smi-main``.
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
    """A profile's own objects for a namespace, whose name replaces ``$namespace`` in every string."""

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

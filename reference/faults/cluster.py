"""Faults of what is installed into the cluster."""

from __future__ import annotations

import copy
from typing import Any

from reference.faults import Change, Fault

Document = dict[str, Any]
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def _not_served(crd: Document) -> Document:
    copied = copy.deepcopy(crd)
    for version in copied["spec"]["versions"]:
        version["served"] = False
    return copied


def _without_matches(crd: Document) -> Document:
    copied = copy.deepcopy(crd)
    for version in copied["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        spec["properties"].pop("matches", None)
    return copied


FAULTS = (
    Fault(
        "crd-version-not-served",
        "The CRD of a claimed kind is installed, and no version of it is served.",
        frozenset({"common-api-groups-discoverable"}),
        change=Change(f"{_CRDS}/identitybindings.access.smi-spec.io", _not_served),
    ),
    Fault(
        "crd-prunes-matches",
        "The schema of TrafficSplit does not know spec.matches, so the API server drops it.",
        frozenset({"common-crud-with-standard-tools"}),
        change=Change(f"{_CRDS}/trafficsplits.split.smi-spec.io", _without_matches),
        origins=("split-matches-silently-dropped",),
    ),
)

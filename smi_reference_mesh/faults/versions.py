"""Faults of single versions: fields lost or misread in conversion."""

from __future__ import annotations

from typing import Any

from smi_reference_mesh.faults.building_blocks import FaultySnapshot
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import DefaultHooks
from smi_reference_mesh.kube.objects import Object, annotations_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.smi.conversion import KEPT

_CONSISTENCY = "common-multi-version-consistency"
_FORGOTTEN = "reference.smi-conformance.dev/forgotten"


def _version(item: Object) -> str:
    return str(item["apiVersion"]).rpartition("/")[2]


class _MatchesDropped(DefaultHooks):
    """Drops the matches of a split in conversion."""

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        if item["kind"] != "TrafficSplit":
            return item
        return {**item, "spec": {key: value for key, value in item["spec"].items() if key != "matches"}}


class _DigitsTaken(DefaultHooks):
    """Takes the digits of a quantity for its value: 500m becomes 500."""

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        if item["kind"] != "TrafficSplit" or _version(source) != "v1alpha1":
            return item
        written = [backend["weight"] for backend in source["spec"]["backends"]]
        backends = [
            {**backend, "weight": _digits(weight)}
            for backend, weight in zip(item["spec"]["backends"], written, strict=True)
        ]
        return {**item, "spec": {**item["spec"], "backends": backends}}


class _Renamed(DefaultHooks):
    """Converts splits by replacing their apiVersion only."""

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        if item["kind"] != "TrafficSplit":
            return item
        return {**source, "apiVersion": item["apiVersion"]}


class _PortsDropped(DefaultHooks):
    """Drops the port of a target in conversion to a version without it."""

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        if item["kind"] != "TrafficTarget":
            return item
        metadata = item["metadata"]
        kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != KEPT}
        return {**item, "metadata": {**metadata, "annotations": kept}}


def _digits(weight: object) -> int:
    return int("".join(character for character in str(weight) if character.isdigit()) or "0")


class _GroupsForgotten(FaultySnapshot):
    """Does not resolve references to route groups written in one version of specs."""

    def __init__(self, version: str) -> None:
        super().__init__(self._without)
        self._of = version

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        if item["kind"] != "HTTPRouteGroup" or _version(source) != self._of:
            return item
        metadata = item["metadata"]
        annotations = {**(metadata.get("annotations") or {}), _FORGOTTEN: "yes"}
        return {**item, "metadata": {**metadata, "annotations": annotations}}

    def _without(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        groups = snapshot.of("httproutegroups")
        return snapshot.replacing(
            "httproutegroups", [group for group in groups if _FORGOTTEN not in annotations_of(group)]
        )


FAULTS = (
    Fault(
        "conversion-drops-matches",
        "A split of v1alpha3 loses its matches when it is stored, and takes all requests.",
        frozenset({"common-crud-with-standard-tools", "split-schema-v1alpha3-v1alpha4"}),
        _MatchesDropped,
        real_defects=("split-matches-silently-dropped",),
        versions="split=v1alpha3",
        expected_readings={_CONSISTENCY: "split read in another version: unacceptable"},
    ),
    Fault(
        "conversion-takes-digits",
        "A weight of v1alpha1 is read by its digits alone: 500m next to 1 becomes 500 to 1.",
        frozenset({"split-v1alpha1-quantity-weights", "split-schema-v1alpha1"}),
        _DigitsTaken,
        versions="split=v1alpha1",
        expected_readings={_CONSISTENCY: "weights of an earlier version in traffic: unacceptable"},
    ),
    Fault(
        "conversion-renames-splits",
        "A split is converted by writing another apiVersion over it: 500m is no weight there.",
        frozenset(),
        _Renamed,
        expected_readings={_CONSISTENCY: "split read in another version: c"},
    ),
    Fault(
        "conversion-drops-ports",
        "A target of v1alpha2 loses its port when it is stored in a version that has none.",
        frozenset(),
        _PortsDropped,
        expected_readings={_CONSISTENCY: "port of a target of an earlier version: unacceptable"},
    ),
    Fault(
        "specs-version-resolves-to-nothing",
        "References to route groups that were written in specs v1alpha3 resolve to nothing.",
        frozenset({"common-version-compat-matrix"}),
        lambda: _GroupsForgotten("v1alpha3"),
        versions="specs=v1alpha3",
        also_fails=frozenset({"http-schema-by-version"}),
    ),
)

"""Objects written in one version of their kind and read in another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from conformance.catalogue import GROUPS
from conformance.clusters import Object
from conformance.drive.api_reads import served_kinds
from conformance.drive.scenario import Scenario
from conformance.model.evidence import Conversion

Edit = Callable[[dict[str, Any]], dict[str, Any]]
"""Rewrites an object to another notation of the same meaning, in its own version."""
PORT_IN_TARGET: Mapping[str, str] = {"v1alpha1": "v1alpha2", "v1alpha2": "v1alpha3"}
"""Versions of access whose targets have a port, and open every port without it; the specs version of each."""
_SHORT = {group: short for short, group in GROUPS.items()}


def versions_there(scenario: Scenario) -> dict[str, list[str]]:
    """Kind → the versions that are claimed and served, oldest first. Raises ClusterError."""
    claims = scenario.profile.claims.by_group()
    found: dict[str, list[str]] = {}
    for group, version, kind in sorted(served_kinds(scenario.cluster)):
        if version in claims.get(_SHORT[group], ()):
            found.setdefault(kind, []).append(version)
    return found


def versions_with_target_port(scenario: Scenario) -> dict[str, str] | None:
    """The latest versions of access and specs whose targets have a port, if other versions exist too."""
    there = versions_there(scenario)
    targets, groups = there.get("TrafficTarget", []), there.get("HTTPRouteGroup", [])
    for access, specs in sorted(PORT_IN_TARGET.items(), reverse=True):
        if access in targets and specs in groups and len(targets) > 1:
            return {"access": access, "specs": specs}
    return None


def in_quantities(item: dict[str, Any]) -> dict[str, Any]:
    """A split of v1alpha1 with its weights 2 and 1 as quantities, 1 and 500m; any other object as it is."""
    if item["kind"] != "TrafficSplit" or not item["apiVersion"].endswith("/v1alpha1"):
        return item
    weights = {"2": 1, "1": "500m"} if len(item["spec"]["backends"]) > 1 else {}
    backends = [
        {**one, "weight": weights.get(one["weight"], one["weight"])} for one in item["spec"]["backends"]
    ]
    return {**item, "spec": {**item["spec"], "backends": backends}}


def write(scenario: Scenario, items: Iterable[Object], versions: Mapping[str, str]) -> list[dict[str, Any]]:
    """The fixture objects that exist in these versions, which override the scenario's, rendered in them."""
    merged = {**scenario.versions, **versions}
    return replace(scenario.writer, versions=merged).objects_for_version(items)


def conversions(scenario: Scenario, items: Iterable[Object], edit: Edit) -> list[Conversion]:
    """Each object in two versions of its kind, one of them the scenario's: written older, read newer.

    Objects of groups without a version in the scenario are skipped. A kind without another claimed and served
    version yields a conversion without a newer version. Raises ClusterError if the API server refuses an
    object.
    """
    there = versions_there(scenario)
    return [one for item in items for one in _of(scenario, item, there.get(str(item["kind"]), []), edit)]


def _of(scenario: Scenario, item: Object, there: list[str], edit: Edit) -> Iterator[Conversion]:
    kind, group = str(item["kind"]), str(item["apiVersion"]).partition("/")[0]
    spoken = scenario.versions.get(_SHORT[group])
    if spoken is None:
        return
    others = [version for version in there if version != spoken]
    if not others:
        yield Conversion(kind, spoken)
    for other in others:
        older, newer = sorted((spoken, other))
        renamed = {**item, "metadata": {**item["metadata"], "name": f"{item['metadata']['name']}-{older}"}}
        sent = write(scenario, [renamed], {_SHORT[group]: older})
        meant = write(scenario, [renamed], {_SHORT[group]: newer})
        if sent and meant:
            yield _read(scenario, edit(sent[0]), meant[0])


def _read(scenario: Scenario, sent: Object, meant: Object) -> Conversion:
    scenario.apply_objects([sent])
    kind, metadata = str(sent["kind"]), sent["metadata"]
    path = scenario.cluster.path(meant["apiVersion"], kind, metadata["namespace"], metadata["name"])
    answer = scenario.cluster.request("GET", path)
    read = answer.body if isinstance(answer.body, Mapping) and answer.status == 200 else {}
    older, newer = (str(one["apiVersion"]).rpartition("/")[2] for one in (sent, meant))
    return Conversion(kind, older, newer, sent, meant, read, answer.status)

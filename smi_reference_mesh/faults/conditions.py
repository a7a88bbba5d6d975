"""Faults of splits with conditions."""

from __future__ import annotations

from typing import Any

from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.faults.backends import copied_splits
from smi_reference_mesh.faults.building_blocks import AsFirstSeen, FaultyObjects, FaultySnapshot, with_routes
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Workload, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot


def _no_conditions(split: dict[str, Any]) -> None:
    split["spec"].pop("matches", None)


def _conditions_by_name(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    groups = {(namespace_of(group), name_of(group)) for group in snapshot.of("httproutegroups")}
    splits = copied_splits(snapshot)
    for split in splits:
        spec = split.get("spec") or {}
        if not spec.get("matches") and (namespace_of(split), spec.get("service")) in groups:
            spec["matches"] = [{"kind": "HTTPRouteGroup", "name": spec["service"]}]
    return snapshot.replacing("trafficsplits", splits)


def _first_group_only(split: dict[str, Any]) -> None:
    if split["spec"].get("matches"):
        split["spec"]["matches"] = split["spec"]["matches"][:1]


def _no_paths(group: dict[str, Any]) -> None:
    for match in (group.get("spec") or {}).get("matches") or ():
        match.pop("pathRegex", None)


def _dangling_dropped(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    groups = {(namespace_of(group), name_of(group)) for group in snapshot.of("httproutegroups")}
    splits = copied_splits(snapshot)
    for split in splits:
        matches = (split.get("spec") or {}).get("matches") or []
        if matches:
            here = namespace_of(split)
            split["spec"]["matches"] = [one for one in matches if (here, one["name"]) in groups]
    return snapshot.replacing("trafficsplits", splits)


def _groups_of_all_namespaces(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    merged: dict[str, list[Any]] = {}
    for group in snapshot.of("httproutegroups"):
        merged.setdefault(name_of(group), []).extend(group["spec"]["matches"])
    spaces = {namespace_of(split) for split in snapshot.of("trafficsplits")}
    groups = [
        {"metadata": {"namespace": space, "name": name, "uid": f"{space}/{name}"}, "spec": {"matches": found}}
        for space in sorted(spaces)
        for name, found in merged.items()
    ]
    return snapshot.replacing("httproutegroups", groups)


def _no_route_for_others(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    def drop(name: str, routes: JSON) -> None:
        for host in routes["virtual_hosts"]:
            if any(route["name"].startswith("split/") for route in host["routes"]):
                host["routes"] = [route for route in host["routes"] if route["name"] != "root"]

    return with_routes(configuration, "outbound|", drop)


def _methods_of_splits_ignored(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    def edit(name: str, routes: JSON) -> None:
        for host in routes["virtual_hosts"]:
            for route in host["routes"]:
                if route["name"].startswith("split/") and "headers" in route["match"]:
                    asked = route["match"]["headers"]
                    route["match"]["headers"] = [one for one in asked if one["name"] != ":method"]

    return with_routes(configuration, "outbound|", edit)


FAULTS = (
    Fault(
        "split-takes-the-group-of-its-root",
        "A split without conditions takes the route group that is called like its root for one.",
        frozenset({"http-group-inert-alone"}),
        lambda: FaultySnapshot(_conditions_by_name),
    ),
    Fault(
        "split-conditions-dropped",
        "The conditions of a split are not looked at: it holds for everybody.",
        frozenset({"split-matches-others-to-root", "split-matches-select-traffic"}),
        lambda: FaultyObjects("trafficsplits", _no_conditions),
        real_defects=("split-matches-silently-dropped",),
        expected_readings={"split-unit-of-division": "raw TCP to a root whose split has matches: b"},
    ),
    Fault(
        "split-first-group-only",
        "Of the route groups of a split only the first counts.",
        frozenset({"split-matches-multiple-groups"}),
        lambda: FaultyObjects("trafficsplits", _first_group_only),
    ),
    Fault(
        "split-nothing-for-others",
        "Requests that a split with conditions does not select have no route.",
        frozenset({"split-matches-others-to-root"}),
        lambda: EditedConfiguration(_no_route_for_others),
        also_fails=frozenset({"split-matches-select-traffic"}),
    ),
    Fault(
        "route-group-edits-unseen",
        "Route groups are read once; edits of them are not seen.",
        frozenset({"split-matches-group-update", "interact-shared-group"}),
        lambda: AsFirstSeen("httproutegroups"),
        real_defects=("route-group-edit-or-removal-not-propagated",),
    ),
    Fault(
        "split-paths-not-looked-at",
        "Of the matches of a split's groups only the headers are looked at.",
        frozenset(),
        lambda: FaultyObjects("httproutegroups", _no_paths),
        expected_readings={
            "split-matches-path-and-method": "what a match without headers does not match: unacceptable",
        },
    ),
    Fault(
        "split-methods-not-looked-at",
        "The methods of the matches of a split's groups are not looked at.",
        frozenset(),
        lambda: EditedConfiguration(_methods_of_splits_ignored),
        expected_readings={"split-matches-path-and-method": "methods of a match without headers: b"},
    ),
    Fault(
        "split-dangling-group-dropped",
        "A reference to a group that does not exist is dropped, and a split without any is for everybody.",
        frozenset(),
        lambda: FaultySnapshot(_dangling_dropped),
        expected_readings={"split-matches-missing-or-empty": "group that does not exist: unacceptable"},
    ),
    Fault(
        "split-groups-of-all-namespaces",
        "Route groups are looked up by name in all namespaces.",
        frozenset(),
        lambda: FaultySnapshot(_groups_of_all_namespaces),
        expected_readings={"split-matches-group-namespace": "group of another namespace: b"},
    ),
)

"""Faults of splits that are for some requests only."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from reference.compiler.configuration import JSON, Configuration
from reference.faults import Fault
from reference.faults.spoilers import SpoiltConfiguration, SpoiltObjects, with_routes
from reference.spoiler import Faithful
from reference.world import Object, Workload, World


def _no_conditions(split: dict[str, Any]) -> None:
    split["spec"].pop("matches", None)


def _first_group_only(split: dict[str, Any]) -> None:
    if split["spec"].get("matches"):
        split["spec"]["matches"] = split["spec"]["matches"][:1]


def _no_route_for_others(configuration: Configuration, world: World, workload: Workload) -> Configuration:
    def drop(name: str, routes: JSON) -> None:
        for host in routes["virtual_hosts"]:
            if any(route["name"].startswith("split/") for route in host["routes"]):
                host["routes"] = [route for route in host["routes"] if route["name"] != "root"]

    return with_routes(configuration, "outbound|", drop)


class _GroupsAsFirstSeen(Faithful):
    """Keeps each route group as it was when it was first seen."""

    def __init__(self) -> None:
        self._seen: dict[str, Object] = {}
        self._spoil = lru_cache(maxsize=2)(self._spoilt)

    def world(self, world: World) -> World:
        return self._spoil(world)

    def _spoilt(self, world: World) -> World:
        groups = world.of("httproutegroups")
        return world.replacing(
            "httproutegroups", [self._seen.setdefault(group["metadata"]["uid"], group) for group in groups]
        )


FAULTS = (
    Fault(
        "split-conditions-dropped",
        "The conditions of a split are not looked at: it holds for everybody.",
        frozenset(
            {
                "split-matches-select-traffic",
                "split-matches-others-to-root",
                "split-matches-whole-group",
                "split-matches-group-update",
            }
        ),
        lambda: SpoiltObjects("trafficsplits", _no_conditions),
        origins=("split-matches-silently-dropped",),
    ),
    Fault(
        "split-first-group-only",
        "Of the route groups of a split only the first counts.",
        frozenset({"split-matches-multiple-groups", "split-matches-whole-group"}),
        lambda: SpoiltObjects("trafficsplits", _first_group_only),
    ),
    Fault(
        "split-nothing-for-others",
        "Requests that a split with conditions does not select have no route.",
        frozenset(
            {
                "split-matches-select-traffic",
                "split-matches-others-to-root",
                "split-matches-whole-group",
                "split-matches-group-update",
            }
        ),
        lambda: SpoiltConfiguration(_no_route_for_others),
    ),
    Fault(
        "route-group-edits-unseen",
        "Route groups are read once; edits of them are not seen.",
        frozenset({"split-matches-group-update", "interact-shared-group"}),
        _GroupsAsFirstSeen,
        origins=("route-group-edit-or-removal-not-propagated",),
    ),
)

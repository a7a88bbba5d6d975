"""Faults of names: what is called the same in two namespaces is taken for one."""

from __future__ import annotations

import copy
from collections.abc import Callable

from reference.compiler.configuration import JSON, Configuration
from reference.faults import Fault
from reference.faults.spoilers import SpoiltConfiguration, SpoiltWorld, with_routes
from reference.world import Workload, World, name_of, namespace_of


def _last_of_each_name(plural: str) -> Callable[[World], World]:
    """Keeps one object of each name, that of the last namespace."""

    def spoil(world: World) -> World:
        by_name = {name_of(item): item for item in sorted(world.of(plural), key=namespace_of)}
        return world.replacing(plural, by_name.values())

    return spoil


def _roots_by_short_name(configuration: Configuration, world: World, workload: Workload) -> Configuration:
    """Services that are called like the root of a split elsewhere are routed like that root."""
    roots = {split["spec"]["service"]: namespace_of(split) for split in world.of("trafficsplits")}

    def reroute(name: str, routes: JSON) -> None:
        _, namespace, service, port = name.split("|")
        source = configuration.routes.get(f"outbound|{roots.get(service, namespace)}|{service}|{port}")
        if source is not None:
            routes["virtual_hosts"] = copy.deepcopy(source["virtual_hosts"])

    return with_routes(configuration, "outbound|", reroute)


FAULTS = (
    Fault(
        "split-root-by-short-name",
        "A split holds for the services of its root's name in every namespace.",
        frozenset({"split-namespace-scoping", "common-crds-are-namespaced"}),
        lambda: SpoiltConfiguration(_roots_by_short_name),
        origins=("short-host-name-crosses-namespaces",),
    ),
    Fault(
        "splits-by-bare-name",
        "Of several splits of one name, whatever their namespaces, only one is kept.",
        frozenset({"common-crds-are-namespaced"}),
        lambda: SpoiltWorld(_last_of_each_name("trafficsplits")),
    ),
    Fault(
        "groups-by-bare-name",
        "Of several route groups of one name, whatever their namespaces, only one is kept.",
        frozenset({"common-crds-are-namespaced"}),
        lambda: SpoiltWorld(_last_of_each_name("httproutegroups")),
    ),
)

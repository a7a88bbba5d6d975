"""Faults of names: what is called the same in two namespaces is taken for one."""

from __future__ import annotations

import copy
from collections.abc import Callable

from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.faults.spoilers import SpoiltConfiguration, SpoiltWorld, with_routes
from smi_reference_mesh.world import Workload, World, name_of, namespace_of


def _last_of_each_name(plural: str) -> Callable[[World], World]:
    """Keeps one object of each name, that of the last namespace."""

    def spoil(world: World) -> World:
        by_name = {name_of(item): item for item in sorted(world.of(plural), key=namespace_of)}
        return world.replacing(plural, by_name.values())

    return spoil


class _DeletedByName(SpoiltWorld):
    """Forgets a target when one of its name is deleted in another namespace."""

    def __init__(self) -> None:
        super().__init__(self._left)
        self._names: dict[str, str] = {}
        self._gone: set[str] = set()

    def _left(self, world: World) -> World:
        targets = {one["metadata"]["uid"]: one for one in world.of("traffictargets")}
        deleted = {self._names[uid] for uid in self._names.keys() - targets.keys()}
        self._names = {uid: name_of(one) for uid, one in targets.items()}
        self._gone |= {uid for uid, name in self._names.items() if name in deleted}
        kept = [one for uid, one in targets.items() if uid not in self._gone]
        return world.replacing("traffictargets", kept)


def _in_every_namespace(world: World) -> World:
    """Gives every split to the namespaces that have a service of its root's name, unless one is there."""
    splits = list(world.of("trafficsplits"))
    roots = {(namespace_of(split), split["spec"]["service"]) for split in splits}
    for service in world.of("services"):
        here, name = namespace_of(service), name_of(service)
        for split in world.of("trafficsplits"):
            if split["spec"]["service"] == name and (here, name) not in roots:
                splits.append({**split, "metadata": {**split["metadata"], "namespace": here}})
    return world.replacing("trafficsplits", splits)


def _one_spec_for_a_name(world: World) -> World:
    """Splits of one name all say what that of the first namespace says."""
    specs = {
        name_of(item): item["spec"] for item in sorted(world.of("trafficsplits"), key=namespace_of)[::-1]
    }
    splits = [{**split, "spec": specs[name_of(split)]} for split in world.of("trafficsplits")]
    return world.replacing("trafficsplits", splits)


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
        frozenset({"split-namespace-scoping"}),
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
        "split-in-every-namespace",
        "A split holds wherever there is a service of its root's name, with the backends of that namespace.",
        frozenset({"split-namespace-scoping"}),
        lambda: SpoiltWorld(_in_every_namespace),
    ),
    Fault(
        "split-specs-by-bare-name",
        "What splits say is kept by their names alone: those of one name all say the same.",
        frozenset({"common-crds-are-namespaced"}),
        lambda: SpoiltWorld(_one_spec_for_a_name),
    ),
    Fault(
        "groups-by-bare-name",
        "Of several route groups of one name, whatever their namespaces, only one is kept.",
        frozenset({"common-crds-are-namespaced"}),
        lambda: SpoiltWorld(_last_of_each_name("httproutegroups")),
    ),
    Fault(
        "targets-by-bare-name",
        "Of several targets of one name, whatever their namespaces, only one is kept.",
        frozenset({"common-crds-are-namespaced"}),
        lambda: SpoiltWorld(_last_of_each_name("traffictargets")),
    ),
    Fault(
        "targets-deleted-by-bare-name",
        "When a target is deleted, those of its name in other namespaces go as well.",
        frozenset({"common-crds-are-namespaced"}),
        _DeletedByName,
    ),
)

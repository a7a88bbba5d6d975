"""Faults of names: objects of the same name in two namespaces are confused."""

from __future__ import annotations

import copy
from collections.abc import Callable

from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.faults.building_blocks import FaultySnapshot, with_routes
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Workload, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot


def _last_of_each_name(plural: str) -> Callable[[ClusterSnapshot], ClusterSnapshot]:
    """Keeps one object of each name: that of the last namespace."""

    def faulty(snapshot: ClusterSnapshot) -> ClusterSnapshot:
        by_name = {name_of(item): item for item in sorted(snapshot.of(plural), key=namespace_of)}
        return snapshot.replacing(plural, by_name.values())

    return faulty


class _DeletedByName(FaultySnapshot):
    """Drops a target when one of its name is deleted in another namespace."""

    def __init__(self) -> None:
        super().__init__(self._left)
        self._names: dict[str, str] = {}
        self._gone: set[str] = set()

    def _left(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        targets = {one["metadata"]["uid"]: one for one in snapshot.of("traffictargets")}
        deleted = {self._names[uid] for uid in self._names.keys() - targets.keys()}
        self._names = {uid: name_of(one) for uid, one in targets.items()}
        self._gone |= {uid for uid, name in self._names.items() if name in deleted}
        kept = [one for uid, one in targets.items() if uid not in self._gone]
        return snapshot.replacing("traffictargets", kept)


def _in_every_namespace(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Applies every split to each namespace where an undivided service has its root's name."""
    splits = list(snapshot.of("trafficsplits"))
    roots = {(namespace_of(split), split["spec"]["service"]) for split in splits}
    for service in snapshot.of("services"):
        here, name = namespace_of(service), name_of(service)
        for split in snapshot.of("trafficsplits"):
            if split["spec"]["service"] == name and (here, name) not in roots:
                splits.append({**split, "metadata": {**split["metadata"], "namespace": here}})
    return snapshot.replacing("trafficsplits", splits)


def _one_spec_for_a_name(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Splits of one name all have the content of that in the first namespace."""
    specs = {
        name_of(item): item["spec"] for item in sorted(snapshot.of("trafficsplits"), key=namespace_of)[::-1]
    }
    splits = [{**split, "spec": specs[name_of(split)]} for split in snapshot.of("trafficsplits")]
    return snapshot.replacing("trafficsplits", splits)


def _roots_by_short_name(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Services with the name of a split's root in another namespace are routed like that root."""
    roots = {split["spec"]["service"]: namespace_of(split) for split in snapshot.of("trafficsplits")}

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
        lambda: EditedConfiguration(_roots_by_short_name),
        real_defects=("short-host-name-crosses-namespaces",),
    ),
    Fault(
        "splits-by-bare-name",
        "Of several splits of one name, whatever their namespaces, only one is kept.",
        frozenset({"common-crds-are-namespaced"}),
        lambda: FaultySnapshot(_last_of_each_name("trafficsplits")),
    ),
    Fault(
        "split-in-every-namespace",
        "A split holds wherever there is a service of its root's name, with the backends of that namespace.",
        frozenset({"split-namespace-scoping"}),
        lambda: FaultySnapshot(_in_every_namespace),
    ),
    Fault(
        "split-specs-by-bare-name",
        "What splits say is kept by their names alone: those of one name all say the same.",
        frozenset({"common-crds-are-namespaced"}),
        lambda: FaultySnapshot(_one_spec_for_a_name),
    ),
    Fault(
        "groups-by-bare-name",
        "Of several route groups of one name, whatever their namespaces, only one is kept.",
        frozenset({"common-crds-are-namespaced"}),
        lambda: FaultySnapshot(_last_of_each_name("httproutegroups")),
    ),
    Fault(
        "targets-by-bare-name",
        "Of several targets of one name, whatever their namespaces, only one is kept.",
        frozenset({"common-crds-are-namespaced"}),
        lambda: FaultySnapshot(_last_of_each_name("traffictargets")),
    ),
    Fault(
        "targets-deleted-by-bare-name",
        "When a target is deleted, those of its name in other namespaces go as well.",
        frozenset({"common-crds-are-namespaced"}),
        _DeletedByName,
    ),
)

"""Faults of behaviour that the specification leaves open: another reading, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.faults.backends import addresses_by_service, backends_of, copied_splits, root_of
from smi_reference_mesh.faults.building_blocks import (
    FaultyObjects,
    FaultySnapshot,
    service_of,
    with_listeners,
    with_routes,
)
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import DefaultHooks, EditedConfiguration
from smi_reference_mesh.kube.objects import Object, Workload, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot


def _backends(split: Object) -> list[dict[str, Any]]:
    return (split.get("spec") or {}).get("backends") or []


def _equal_where_all_zero(split: dict[str, Any]) -> None:
    if not any(backend["weight"] for backend in _backends(split)):
        for backend in _backends(split):
            backend["weight"] = 1


def _without_the_dead(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    alive = addresses_by_service(snapshot)
    splits = copied_splits(snapshot)
    for split in splits:
        if "spec" in split:
            here = namespace_of(split)
            kept = [one for one in _backends(split) if alive.get((here, one["service"]))]
            split["spec"]["backends"] = kept
    return snapshot.replacing("trafficsplits", splits)


def _last_of_the_same(split: dict[str, Any]) -> None:
    if "spec" in split:
        split["spec"]["backends"] = list({one["service"]: one for one in _backends(split)}.values())


def _without_itself(split: dict[str, Any]) -> None:
    if "spec" in split:
        root = split["spec"]["service"]
        split["spec"]["backends"] = [one for one in _backends(split) if one["service"] != root]


def _cut_at_the_dot(split: dict[str, Any]) -> None:
    for backend in _backends(split):
        backend["service"] = backend["service"].partition(".")[0]


def _merged(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    splits = copied_splits(snapshot)
    together: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for split in splits:
        if _backends(split) and not split["spec"].get("matches"):
            together.setdefault(root_of(split), []).extend(_backends(split))
    for split in splits:
        if _backends(split) and not split["spec"].get("matches"):
            split["spec"]["backends"] = together[root_of(split)]
    return snapshot.replacing("trafficsplits", splits)


def _all_ports_or_none(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    ports = {
        (namespace_of(service), name_of(service)): {port["port"] for port in service["spec"]["ports"]}
        for service in snapshot.of("services")
        if service["spec"].get("ports")
    }
    splits = copied_splits(snapshot)
    for split in splits:
        if _backends(split):
            asked = ports.get(root_of(split), set())
            split["spec"]["backends"] = [
                one
                for one, name in zip(_backends(split), list(backends_of(split)), strict=True)
                if asked <= ports.get(name, set())
            ]
    return snapshot.replacing("trafficsplits", splits)


class _RootsLookedUpOnce(FaultySnapshot):
    """Ignores for ever each split whose root did not exist when the split was first observed."""

    def __init__(self) -> None:
        super().__init__(self._faulty)
        self._known: dict[str, bool] = {}

    def _faulty(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        services = {(namespace_of(service), name_of(service)) for service in snapshot.of("services")}
        kept = [
            split
            for split in snapshot.of("trafficsplits")
            if self._known.setdefault(
                split["metadata"]["uid"], not _backends(split) or root_of(split) in services
            )
        ]
        return snapshot.replacing("trafficsplits", kept)


def _lone_one_whatever_its_weight(split: dict[str, Any]) -> None:
    if len(_backends(split)) == 1:
        _backends(split)[0]["weight"] = 1


class _RoutesRefusedWhole(DefaultHooks):
    """Freezes a workload's routes while there is a split whose weights are all zero.

    Like a proxy that refuses a total weight of zero, when all routes travel together.
    """

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], Mapping[str, JSON]] = {}

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        name = (workload.namespace, workload.name)
        if any(
            _backends(split) and not any(backend["weight"] for backend in _backends(split))
            for split in snapshot.of("trafficsplits")
        ):
            return replace(configuration, routes={**configuration.routes, **self._taken.get(name, {})})
        self._taken[name] = configuration.routes
        return configuration


def _one_by_count_of_edits(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Keeps a root's first or last split without conditions, alternating with each edit of any split."""
    splits = [split for split in snapshot.of("trafficsplits") if _backends(split)]
    edits = sum(split["metadata"].get("generation", 1) for split in splits)
    rivals: dict[tuple[str, str], list[Object]] = {}
    for split in splits:
        if not split["spec"].get("matches"):
            rivals.setdefault(root_of(split), []).append(split)
    lost: list[Object] = []
    for each in rivals.values():
        lost += each[1:] if edits % 2 else each[:-1]
    return snapshot.replacing(
        "trafficsplits", [split for split in snapshot.of("trafficsplits") if split not in lost]
    )


class _BackendsLookedUpOnce(FaultySnapshot):
    """Ignores for ever the backends that did not exist when their split was first observed."""

    def __init__(self) -> None:
        super().__init__(self._faulty)
        self._found: dict[tuple[str, tuple[str, str]], bool] = {}

    def _faulty(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        services = {(namespace_of(service), name_of(service)) for service in snapshot.of("services")}
        splits = copied_splits(snapshot)
        for split in splits:
            if _backends(split):
                split["spec"]["backends"] = [
                    one
                    for one, name in zip(_backends(split), list(backends_of(split)), strict=True)
                    if self._found.setdefault((split["metadata"]["uid"], name), name in services)
                ]
        return snapshot.replacing("trafficsplits", splits)


class _EndpointsKept(FaultySnapshot):
    """Keeps a backend that loses its endpoints: its last endpoints, and the service that selected them."""

    def __init__(self) -> None:
        super().__init__(self._faulty)
        self._last: dict[tuple[str, str], tuple[Object, list[Object]]] = {}

    def _faulty(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        alive = addresses_by_service(snapshot)
        backends = {
            name for split in snapshot.of("trafficsplits") if _backends(split) for name in backends_of(split)
        }
        services = {(namespace_of(service), name_of(service)): service for service in snapshot.of("services")}
        slices: dict[tuple[str, str], list[Object]] = {}
        for item in snapshot.of("endpointslices"):
            slices.setdefault(service_of(item), []).append(item)
        for name in backends & services.keys():
            if alive.get(name):
                self._last[name] = (services[name], slices[name])
            elif name in self._last:
                services[name], slices[name] = self._last[name]
        kept = snapshot.replacing("services", services.values())
        return kept.replacing("endpointslices", [one for each in slices.values() for one in each])


def _called_like_its_root(split: dict[str, Any]) -> None:
    if _backends(split) and not split["spec"].get("service"):
        split["spec"]["service"] = name_of(split)


class _StalledByAnOddOne(FaultySnapshot):
    """Freezes all splits while there is one without backends."""

    def __init__(self) -> None:
        super().__init__(self._faulty)
        self._last: tuple[Object, ...] = ()

    def _faulty(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        if all(_backends(split) for split in snapshot.of("trafficsplits")):
            self._last = snapshot.of("trafficsplits")
        return snapshot.replacing("trafficsplits", self._last)


def _bare_roots_only(split: dict[str, Any]) -> None:
    if "." in (split.get("spec") or {}).get("service", ""):
        split["spec"]["backends"] = []


def _short_names_go_past(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    def edit(name: str, routes: JSON) -> None:
        for host in routes["virtual_hosts"]:
            for route in host["routes"]:
                if route["name"].startswith("split/"):
                    dotted = {"name": ":authority", "string_match": {"contains": "."}}
                    route["match"]["headers"] = [*route["match"].get("headers", ()), dotted]
            host["routes"].append(envoy.route("past", envoy.ANYTHING, envoy.to_cluster(name)))

    return with_routes(configuration, "outbound|", edit)


def _addresses_go_past(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    def edit(name: str, routes: JSON) -> None:
        for host in routes["virtual_hosts"]:
            for route in host["routes"]:
                if route["name"].startswith("split/"):
                    name_given = {
                        "name": ":authority",
                        "string_match": {"safe_regex": {"regex": ".*[a-z].*"}},
                    }
                    route["match"]["headers"] = [*route["match"].get("headers", ()), name_given]
            host["routes"].append(envoy.route("past", envoy.ANYTHING, envoy.to_cluster(name)))

    return with_routes(configuration, "outbound|", edit)


def _client_speaks_first(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Waits for a client's first bytes to detect its protocol, before connecting upstream."""

    def edit(listener: JSON) -> None:
        if listener["name"] == "outbound":
            listener["listener_filters"].append(envoy.listener_filter_tls_inspector())

    return with_listeners(configuration, edit)


def _all_raw(service: dict[str, Any]) -> None:
    for port in service["spec"].get("ports") or ():
        port["appProtocol"] = "tcp"


FAULTS = (
    Fault(
        "split-all-zero-means-equal",
        "Where all weights of a split are zero its backends share alike.",
        frozenset(),
        lambda: FaultyObjects("trafficsplits", _equal_where_all_zero),
        expected_readings={"split-all-weights-zero": "all weights zero: c"},
    ),
    Fault(
        "split-lone-backend-whatever-its-weight",
        "The only backend of a split gets everything, even at weight 0.",
        frozenset(),
        lambda: FaultyObjects("trafficsplits", _lone_one_whatever_its_weight),
        real_defects=("lone-zero-weight-backend-gets-everything",),
        expected_readings={"split-all-weights-zero": "a lone backend of weight zero: c"},
    ),
    Fault(
        "split-all-zero-freezes-routes",
        "While there is a split whose weights are all zero, no route of any client changes.",
        frozenset(),
        _RoutesRefusedWhole,
        real_defects=("all-zero-weights-freeze-proxy-config",),
        expected_readings={"split-all-weights-zero": "all weights zero: unacceptable"},
    ),
    Fault(
        "split-dead-backends-left-out",
        "A backend that has no endpoints is left out, and the others take its share.",
        frozenset(),
        lambda: FaultySnapshot(_without_the_dead),
        expected_readings={"split-unavailable-backend": "backend whose service does not exist: a"},
    ),
    Fault(
        "split-last-of-the-same-wins",
        "Of a backend that is listed several times the last entry counts.",
        frozenset(),
        lambda: FaultyObjects("trafficsplits", _last_of_the_same),
        expected_readings={"split-degenerate-spec": "a backend listed twice: b"},
    ),
    Fault(
        "split-own-root-ignored",
        "A split's root is no backend of it.",
        frozenset(),
        lambda: FaultyObjects("trafficsplits", _without_itself),
        expected_readings={"split-self-reference": "the root among its backends: b"},
    ),
    Fault(
        "split-several-merged",
        "The backends of all splits of a root are put together.",
        frozenset(),
        lambda: FaultySnapshot(_merged),
        expected_readings={"split-two-splits-one-root": "two splits of one root: b"},
    ),
    Fault(
        "split-winner-changes-with-edits",
        "Which of several splits of a root counts changes with every edit of any split.",
        frozenset(),
        lambda: FaultySnapshot(_one_by_count_of_edits),
        real_defects=("several-splits-on-one-root-unstable",),
        expected_readings={
            "split-two-splits-one-root": "two splits of one root, after an unrelated edit: unacceptable",
        },
    ),
    Fault(
        "split-backend-cut-at-dot",
        "Of a backend's name only what stands before the first dot is read.",
        frozenset(),
        lambda: FaultyObjects("trafficsplits", _cut_at_the_dot),
        expected_readings={"split-cross-namespace-backends": "backend of another namespace: unacceptable"},
    ),
    Fault(
        "split-all-ports-or-none",
        "A backend that lacks one of the root's ports takes no part on any.",
        frozenset(),
        lambda: FaultySnapshot(_all_ports_or_none),
        expected_readings={"split-port-matching-details": "backend with some of the root's ports: b"},
    ),
    Fault(
        "split-root-looked-up-once",
        "A split whose root does not exist when it is made is given up.",
        frozenset(),
        _RootsLookedUpOnce,
        expected_readings={"split-root-service-missing": "root that is made after its split: unacceptable"},
    ),
    Fault(
        "split-backends-looked-up-once",
        "A backend that does not exist when its split is made is left out for ever.",
        frozenset(),
        _BackendsLookedUpOnce,
        expected_readings={"split-unavailable-backend": "backend whose service is made later: unacceptable"},
    ),
    Fault(
        "split-endpoints-kept",
        "A backend that loses all its endpoints keeps those that it had.",
        frozenset(),
        _EndpointsKept,
        expected_readings={"split-unavailable-backend": "backend whose endpoints go: unacceptable"},
    ),
    Fault(
        "split-called-like-its-root",
        "A split that names no root is taken for one of the service of its own name.",
        frozenset(),
        lambda: FaultyObjects("trafficsplits", _called_like_its_root),
        expected_readings={"split-degenerate-spec": "no root: unacceptable"},
    ),
    Fault(
        "split-odd-one-stalls-all",
        "While there is a split without backends, no other is looked at.",
        frozenset(),
        _StalledByAnOddOne,
        real_defects=("one-odd-object-stalls-everything",),
        expected_readings={"split-degenerate-spec": "no backends: unacceptable"},
    ),
    Fault(
        "split-bare-roots-only",
        "A root that is named with its namespace is not found.",
        frozenset(),
        lambda: FaultyObjects("trafficsplits", _bare_roots_only),
        real_defects=("root-given-as-qualified-name-ignored",),
        expected_readings={"split-root-name-form": "root with its namespace: a"},
    ),
    Fault(
        "split-short-names-go-past",
        "Calls by a root's short name go past its split.",
        frozenset(),
        lambda: EditedConfiguration(_short_names_go_past),
        expected_readings={"split-addressing-forms": "short name: b"},
    ),
    Fault(
        "split-addresses-go-past",
        "Calls by a root's address go past its split.",
        frozenset(),
        lambda: EditedConfiguration(_addresses_go_past),
        expected_readings={"split-addressing-forms": "address of the root: b"},
    ),
    Fault(
        "split-everything-raw",
        "All traffic is taken for raw TCP, and divided by connections.",
        frozenset(),
        lambda: FaultyObjects("services", _all_raw),
        expected_readings={"split-unit-of-division": "one kept connection: b"},
    ),
    Fault(
        "split-client-speaks-first",
        "What a client says first is waited for, also where the server would.",
        frozenset(),
        lambda: EditedConfiguration(_client_speaks_first),
        expected_readings={
            "split-unit-of-division": "connections to a server that speaks first: unacceptable"
        },
    ),
)

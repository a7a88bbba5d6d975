"""Faults of a split's backends: endpoints, ports, other splits."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.faults.building_blocks import FaultySnapshot, service_of, with_slices
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import EditedConfiguration
from smi_reference_mesh.kube.objects import Object, Workload, labels_of, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.smi.model import Problem

Name = tuple[str, str]


def copied_splits(snapshot: ClusterSnapshot) -> list[dict[str, Any]]:
    """Mutable copies of the splits of a snapshot."""
    return copy.deepcopy([dict(split) for split in snapshot.of("trafficsplits")])


def backends_of(split: Object) -> Iterator[Name]:
    """Namespace and name of each backend."""
    for backend in split["spec"]["backends"]:
        yield namespace_of(split), backend["service"]


def root_of(split: Object) -> Name:
    """Namespace and name of the root."""
    return namespace_of(split), split["spec"]["service"]


def addresses_by_service(snapshot: ClusterSnapshot) -> dict[Name, set[str]]:
    """The endpoint addresses of each service that has any."""
    found: dict[Name, set[str]] = {}
    for item in snapshot.of("endpointslices"):
        for endpoint in item.get("endpoints") or ():
            found.setdefault(service_of(item), set()).update(endpoint.get("addresses") or ())
    return found


def _only_what_the_root_selects(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    addresses = addresses_by_service(snapshot)
    allowed: dict[Name, set[str]] = {}
    for split in snapshot.of("trafficsplits"):
        for backend in backends_of(split):
            allowed.setdefault(backend, set()).update(addresses.get(root_of(split), ()))

    def limit(item: dict[str, Any]) -> None:
        limits = allowed.get(service_of(item))
        if limits is not None:
            endpoints = item.get("endpoints") or ()
            item["endpoints"] = [one for one in endpoints if limits.intersection(one["addresses"])]

    return with_slices(snapshot, limit)


def _nested_roots_unreachable(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A backend that is the root of another split has no destination."""
    splits = copied_splits(snapshot)
    roots = {root_of(split) for split in splits}
    for split in splits:
        for backend in split["spec"]["backends"]:
            name = namespace_of(split), backend["service"]
            if name in roots and name != root_of(split):
                backend["service"] = f"{backend['service']}-nested"
    return snapshot.replacing("trafficsplits", splits)


def _root_as_one_more_backend(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    splits = copied_splits(snapshot)
    for split in splits:
        backends = split["spec"]["backends"]
        weight = max(1, sum(backend["weight"] for backend in backends) // 5)
        backends.append({"service": split["spec"]["service"], "weight": weight})
    return snapshot.replacing("trafficsplits", splits)


def _is_wider(split: Object, addresses: Mapping[Name, set[str]]) -> bool:
    """Whether the root of a split selects all pods of its backends."""
    named = set().union(*(addresses.get(backend, ()) for backend in backends_of(split)))
    return bool(named) and named <= addresses.get(root_of(split), set())


def _wider_root_keeps_its_share(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A root that selects all pods of its backends gets as much traffic as all of them together."""
    addresses = addresses_by_service(snapshot)
    splits = copied_splits(snapshot)
    for split in splits:
        if _is_wider(split, addresses):
            backends = split["spec"]["backends"]
            weight = max(1, sum(backend["weight"] for backend in backends))
            backends.append({"service": split["spec"]["service"], "weight": weight})
    return snapshot.replacing("trafficsplits", splits)


def _wider_root_balances_evenly(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Backends whose pods their root also selects get equal shares."""
    addresses = addresses_by_service(snapshot)
    splits = copied_splits(snapshot)
    for split in splits:
        if _is_wider(split, addresses):
            for backend in split["spec"]["backends"]:
                backend["weight"] = min(backend["weight"], 1)
    return snapshot.replacing("trafficsplits", splits)


def _weight_for_each_pod(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    addresses = addresses_by_service(snapshot)
    splits = copied_splits(snapshot)
    for split in splits:
        for backend in split["spec"]["backends"]:
            pods = addresses.get((namespace_of(split), backend["service"]), ())
            backend["weight"] *= max(1, len(pods))
    return snapshot.replacing("trafficsplits", splits)


def _split_again(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    by_root = {root_of(split): split for split in snapshot.of("trafficsplits")}
    splits = copied_splits(snapshot)
    for split in splits:
        resolved: list[Any] = []
        for backend in split["spec"]["backends"]:
            next_one = by_root.get((namespace_of(split), backend["service"]))
            resolved += [backend] if next_one is None else next_one["spec"]["backends"]
        split["spec"]["backends"] = copy.deepcopy(resolved)
    return snapshot.replacing("trafficsplits", splits)


def _cluster_addresses_only(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    headless = {
        (namespace_of(service), name_of(service))
        for service in snapshot.of("services")
        if service["spec"].get("clusterIP") == "None"
    }

    def empty(item: dict[str, Any]) -> None:
        if service_of(item) in headless:
            item["endpoints"] = []

    return with_slices(snapshot, empty)


def _copied_services(snapshot: ClusterSnapshot) -> dict[Name, dict[str, Any]]:
    return {
        (namespace_of(service), name_of(service)): copy.deepcopy(dict(service))
        for service in snapshot.of("services")
    }


def _ports_by_name(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    services = _copied_services(snapshot)
    for split in snapshot.of("trafficsplits"):
        root = services.get(root_of(split))
        numbers = {port.get("name"): port["port"] for port in root["spec"]["ports"]} if root else {}
        for backend in backends_of(split):
            for port in services[backend]["spec"]["ports"] if backend in services else ():
                port["port"] = numbers.get(port.get("name"), port["port"])
    return snapshot.replacing("services", services.values())


def _any_port_suffices(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A backend with one of its root's ports takes part on all of them, but serves only that one."""
    services = _copied_services(snapshot)
    for split in snapshot.of("trafficsplits"):
        root = services.get(root_of(split))
        for backend in backends_of(split):
            if root is None or backend not in services:
                continue
            ports = services[backend]["spec"]["ports"]
            there = {port["port"] for port in ports}
            lacking = [port for port in root["spec"]["ports"] if port["port"] not in there]
            if len(lacking) < len(root["spec"]["ports"]):
                ports += [{**port, "name": f"lacking-{port['port']}"} for port in lacking]
    return snapshot.replacing("services", services.values())


def _first_port_of_backends(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    backends = {backend for split in snapshot.of("trafficsplits") for backend in backends_of(split)}

    def first(item: dict[str, Any]) -> None:
        ports = item.get("ports") or []
        named = sorted(ports, key=lambda port: str(port.get("name") != "http"))
        if service_of(item) in backends:
            for port in ports:
                port["port"] = named[0]["port"]

    return with_slices(snapshot, first)


def _one_label_suffices(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """A service with several selector labels selects each pod that has one of them."""
    selectors = {
        (namespace_of(service), name_of(service)): selector
        for service in snapshot.of("services")
        if len(selector := service["spec"].get("selector") or {}) > 1
    }

    def widen(item: dict[str, Any]) -> None:
        wanted = selectors.get(service_of(item))
        endpoints = item.get("endpoints") or []
        if wanted is None or not endpoints:
            return
        known = {address for one in endpoints for address in one["addresses"]}
        for pod in snapshot.of("pods"):
            address = str((pod.get("status") or {}).get("podIP", ""))
            here = namespace_of(pod) == namespace_of(item)
            if here and wanted.items() & labels_of(pod).items() and address and address not in known:
                ready = {"ready": True, "serving": True, "terminating": False}
                about = {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod)}
                endpoints.append({"addresses": [address], "conditions": ready, "targetRef": about})

    return with_slices(snapshot, widen)


def _untold(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
    return replace(configuration, problems=())


def _told_at_the_group(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Reports problems on an object of the same name, but of another kind."""
    moved = tuple(replace(problem, kind="HTTPRouteGroup") for problem in configuration.problems)
    return replace(configuration, problems=moved)


def _told_of_every_split(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Reports the backends of every split, and nothing about those left out."""
    told = tuple(
        Problem(
            "TrafficSplit",
            namespace_of(split),
            name_of(split),
            "programmed: "
            + ", ".join(f"{one['service']} ({one['weight']})" for one in split["spec"]["backends"]),
        )
        for split in snapshot.of("trafficsplits")
    )
    return replace(configuration, problems=told)


def _names_unread(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    named = {
        (namespace_of(service), name_of(service), port.get("name", "")): port["port"]
        for service in snapshot.of("services")
        for port in service["spec"].get("ports") or ()
        if isinstance(port.get("targetPort"), str)
    }

    def edit(endpoint_slice: dict[str, Any]) -> None:
        for port in endpoint_slice.get("ports") or ():
            key = (*service_of(endpoint_slice), port.get("name") or "")
            port["port"] = named.get(key, port["port"])

    return with_slices(snapshot, edit)


FAULTS = (
    Fault(
        "target-port-names-unread",
        "A target port that is a name is taken for the port of the service.",
        frozenset({"common-named-target-ports"}),
        lambda: FaultySnapshot(_names_unread),
    ),
    Fault(
        "service-labels-are-alternatives",
        "A pod stands behind a service if it has one of the labels that the service selects by.",
        frozenset({"split-single-backend"}),
        lambda: FaultySnapshot(_one_label_suffices),
        real_defects=("service-selector-misread",),
    ),
    Fault(
        "split-only-what-the-root-selects",
        "Of a backend's pods only those count that the root selects as well.",
        frozenset({"split-single-backend"}),
        lambda: FaultySnapshot(_only_what_the_root_selects),
    ),
    Fault(
        "split-root-is-one-more-backend",
        "The pods that the root selects get a share of their own.",
        frozenset({"split-root-endpoints-not-implicit"}),
        lambda: FaultySnapshot(_root_as_one_more_backend),
        real_defects=("root-with-selector-corrupts-split",),
    ),
    Fault(
        "split-wider-root-keeps-its-share",
        "Where a root selects its backends' pods as well, all that it selects get half of the requests.",
        frozenset({"split-overlapping-selectors"}),
        lambda: FaultySnapshot(_wider_root_keeps_its_share),
    ),
    Fault(
        "split-wider-root-balances-evenly",
        "Where a root selects its backends' pods as well, these get equal shares, whatever their weights.",
        frozenset({"split-overlapping-selectors"}),
        lambda: FaultySnapshot(_wider_root_balances_evenly),
    ),
    Fault(
        "split-weight-for-each-pod",
        "A backend gets its weight once for each of its pods.",
        frozenset({"split-by-service-not-pod-count"}),
        lambda: FaultySnapshot(_weight_for_each_pod),
        real_defects=("weights-flattened-to-endpoint-counts",),
    ),
    Fault(
        "split-resolved-through-splits",
        "What a backend gets is divided again by the split of which it is the root.",
        frozenset({"split-not-hierarchical"}),
        lambda: FaultySnapshot(_split_again),
    ),
    Fault(
        "split-nested-root-unreachable",
        "What goes to a backend that is the root of another split is refused.",
        frozenset({"split-not-hierarchical"}),
        lambda: FaultySnapshot(_nested_roots_unreachable),
        real_defects=("nested-split-refused",),
    ),
    Fault(
        "split-headless-backend-lost",
        "A backend without a cluster IP has no endpoints.",
        frozenset({"split-backend-service-types"}),
        lambda: FaultySnapshot(_cluster_addresses_only),
    ),
    Fault(
        "split-ports-paired-by-name",
        "A backend takes part if it has a port of the same name, whatever its number.",
        frozenset({"split-port-mismatch-excluded"}),
        lambda: FaultySnapshot(_ports_by_name),
        real_defects=("port-mismatched-backend-gets-traffic",),
    ),
    Fault(
        "split-any-port-suffices",
        "A backend that has one of the root's ports gets its share on all of them, where it leads nowhere.",
        frozenset({"split-port-mismatch-excluded"}),
        lambda: FaultySnapshot(_any_port_suffices),
    ),
    Fault(
        "split-first-port-of-backends",
        "Whatever port a request came to, it leaves for the first port of the backend.",
        frozenset({"split-multi-port"}),
        lambda: FaultySnapshot(_first_port_of_backends),
        real_defects=("multi-port-service-crosstalk",),
    ),
    Fault(
        "split-problems-untold",
        "A backend that is left out is left out silently.",
        frozenset({"split-misconfiguration-event"}),
        lambda: EditedConfiguration(_untold),
    ),
    Fault(
        "split-problems-told-elsewhere",
        "What is wrong with a split is told at an object of another kind.",
        frozenset({"split-misconfiguration-event"}),
        lambda: EditedConfiguration(_told_at_the_group),
    ),
    Fault(
        "split-all-told-alike",
        "Of every split the same is told: which backends it has, whether they take part or not.",
        frozenset({"split-misconfiguration-event"}),
        lambda: EditedConfiguration(_told_of_every_split),
    ),
)

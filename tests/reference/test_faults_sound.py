"""Faults have their declared effect and raise no errors: an error would look like a caught fault."""

from __future__ import annotations

import copy
import importlib
import pkgutil
from types import ModuleType
from typing import Any

import pytest
from compiler_snapshots import (
    group,
    http,
    pod,
    rule,
    service,
    slices,
    snapshot,
    split,
    target,
    tcp,
    tcp_route,
    udp_route,
    workload,
)

from smi_reference_mesh import faults, variants
from smi_reference_mesh.compiler import compile
from smi_reference_mesh.faults import FAULTS, Fault
from smi_reference_mesh.kube.snapshot import ClusterSnapshot

H2C = {"name": "h2c", "port": 8081, "targetPort": 8081, "appProtocol": "kubernetes.io/h2c"}
GRPC = {"name": "grpc", "port": 8082, "targetPort": 8082, "appProtocol": "grpc"}


def rich() -> ClusterSnapshot:
    """A snapshot with every kind of compiled object."""
    web = {"web": "yes"}
    pods = [
        pod("client", "10.0.0.1"),
        pod("v1", "10.0.0.11", labels={"app": "v1", **web}, udp=(9000, 9001)),
        pod("v2", "10.0.0.12", labels={"app": "v2", **web}),
        pod("db", "10.0.0.21", ports={"tcp": 9000}),
    ]
    services = [
        service("web", "10.1.0.1", http(8080), H2C, GRPC, selector=web),
        service("v1", "10.1.0.11", http(8080), H2C, GRPC),
        service("v2", "10.1.0.12", http(8080), H2C),
        service("db", "10.1.0.21", tcp(9000)),
    ]
    routes = group(
        "routes",
        {"name": "api", "pathRegex": "/api/.*", "methods": ["GET"], "headers": {"X-Team": "red"}},
        {"name": "header", "headers": {"user-agent": ".*Firefox.*"}},
        {"name": "all", "pathRegex": ".*", "methods": ["*"]},
    )
    policies = [
        routes,
        group("web", {"name": "all"}),
        tcp_route("some", 9000),
        tcp_route("every"),
        udp_route("some", 9000),
        udp_route("every"),
        split("web", {"v1": 70, "v2": 30}, name="whole"),
        split("web", {"v1": 1, "v2": 0}, name="part", matches=["routes"]),
        split("db", {"db": 1}, name="raw"),
        target("v1", ["client"], [rule("HTTPRouteGroup", "routes", "api")], name="http"),
        target(
            "v1",
            ["client"],
            [rule(kind, name) for kind in ("TCPRoute", "UDPRoute") for name in ("some", "every")],
        ),
    ]
    made = snapshot(*policies, pods=pods, services=services, endpointslices=slices(services, pods))
    objects = {
        plural: tuple(stored(item, f"{plural}-{number}") for number, item in enumerate(items))
        for plural, items in made.objects.items()
    }
    return ClusterSnapshot(objects)


def stored(item: Any, uid: str) -> dict[str, Any]:
    """An object with the fields that the API server adds."""
    copied: dict[str, Any] = copy.deepcopy(item)
    copied["metadata"].update(uid=uid, resourceVersion="1", generation=1)
    copied["metadata"].setdefault("creationTimestamp", "2024-01-01T00:00:00Z")
    return copied


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_compiles(fault: str) -> None:
    hooks, truth = FAULTS[fault].hooks(), rich()
    # Twice: some faults behave differently after a change.
    for _ in range(2):
        shown = hooks.snapshot(truth)
        for who in ("client", "v1", "db"):
            configuration = hooks.configuration(compile(shown, workload(who)), truth, workload(who))
            assert configuration.files()["lds.json"]
        truth = truth.replacing("trafficsplits", truth.of("trafficsplits")[:-1])


@pytest.mark.parametrize(("package", "listed"), [(faults, "FAULTS"), (variants, "VARIANTS")])
def test_fault_ids_are_unique_and_loadable(package: ModuleType, listed: str) -> None:
    names = [
        one.id
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        for one in getattr(importlib.import_module(module.name), listed, ())
    ]
    assert len(names) == len(set(names)) > 40
    assert set(names) == set(getattr(package, listed))


def test_requirements_of_a_fault_are_ids_and_no_letters() -> None:
    with pytest.raises(ValueError, match="fault x: breaks has no ids of requirements"):
        Fault("x", "Text for a set.", frozenset("split-live-edits"))

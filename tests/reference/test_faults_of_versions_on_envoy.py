"""The effect of the faults of routes and access on the scenarios of HTTP/2 and gRPC, with real Envoys.

The suite's manifests and calls, with other ports.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from compiler_http2 import Client, application
from compiler_loopback import UNCHANGED, Loopback
from compiler_snapshots import namespace, pod, slices, snapshot, workload
from loopback_ports import free_port

from conformance.catalogue.foundations import GRANT
from conformance.drive.manifests import load
from conformance.suites.traffic_specs import test_both_versions as both_versions
from conformance.suites.traffic_specs import test_grpc as grpc
from conformance.traceability import index
from smi_reference_mesh.faults import FAULTS, Fault, access, routes, versions
from smi_reference_mesh.hooks import MeshHooks

SPACE = "smi-access"
SERVICES = {"server": "10.1.0.11", "other": "10.1.0.12"}
PORT = 8080
"""The port of both services, for all versions of HTTP."""
REQUIREMENTS = {"both-versions": "http-both-protocol-versions", "grpc": "http-grpc-through-routes"}
OF_ROUTES = [*versions.FAULTS, *routes.FAULTS, *access.FAULTS]


@dataclass(frozen=True)
class Arena:
    """A client and both servers of the scenarios."""

    mesh: Loopback
    pods: list[dict[str, Any]]
    ports: dict[int, list[int]]

    def wrong(self, hooks: MeshHooks) -> set[str]:
        """The requirements with unexpected results of calls."""
        tables = {"both-versions": self._both_versions, "grpc": self._grpc}
        found = set()
        for folder, table in tables.items():
            self.mesh.apply(self._snapshot(folder), hooks)
            if not table():
                found.add(REQUIREMENTS[folder])
        return found

    def _snapshot(self, folder: str) -> Any:
        arena = load("workloads/access.yaml")
        services = [one for one in arena if one["kind"] == "Service" and one["metadata"]["name"] in SERVICES]
        for one in services:
            one["spec"]["clusterIP"] = SERVICES[one["metadata"]["name"]]
            for port in one["spec"]["ports"]:
                # The number differs on loopback.
                port["targetPort"] = "http"
        policies = copy.deepcopy(load(f"traffic-specs/{folder}/target.yaml"))
        for number, one in enumerate(policies):
            # Set by the API server in a cluster.
            one["metadata"] |= {"creationTimestamp": "2024-01-01T00:00:00Z", "resourceVersion": str(number)}
            if one["kind"] == "TCPRoute":
                ports = one["spec"]["matches"]["ports"]
                one["spec"]["matches"]["ports"] = [port for known in ports for port in self.ports[known]]
        objects = {"services": services, "pods": self.pods, "endpointslices": slices(services, self.pods)}
        return snapshot(*policies, namespaces=[namespace(SPACE)], **objects)

    def _both_versions(self) -> bool:
        asks = [(request, True) for request in both_versions.GRANTED_REQUESTS]
        asks += [(request, False) for request in both_versions.DENIED_REQUESTS]
        return all(
            self._goes_through(protocol, request) is granted
            for protocol in both_versions.PROTOCOLS
            for request, granted in asks
        )

    def _goes_through(self, protocol: str, request: both_versions.Request) -> bool:
        method, path, headers = request
        address, port = SERVICES["server"], PORT
        given = {name.replace("-", "_"): value for name, value in headers.items()}
        if protocol == "http":
            status, _, _ = self.mesh["alpha"].get(address, path, port=port, method=method, **given)
            return status == 200
        with self.mesh["alpha"].connect(address, port) as connection:
            return Client(connection).get(path, method, **given).status == 200

    def _grpc(self) -> bool:
        return all(self._is_answered(path) is granted for path, granted in grpc.CALLS.items())

    def _is_answered(self, path: str) -> bool:
        with self.mesh["alpha"].connect(SERVICES["other"], PORT) as connection:
            try:
                return Client(connection).call(path).trailers.get("grpc-status") == "0"
            except ConnectionError:
                return False


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    http, alt, other_http, other_alt = (free_port() for _ in range(4))
    pods = [
        pod("alpha", "127.0.1.1", space=SPACE),
        pod("server", "127.0.1.11", space=SPACE, ports={"http": http, "alt": alt}),
        pod("other", "127.0.1.12", space=SPACE, ports={"http": other_http, "alt": other_alt}),
    ]
    with ExitStack() as stack:
        for name, port in (("server", http), ("server", alt), ("other", other_http), ("other", other_alt)):
            stack.enter_context(application(name, port))
        directory: Path = tmp_path_factory.mktemp("mesh")
        mesh = Loopback(directory)
        stack.callback(mesh.close)
        mesh.add(workload("alpha", SPACE), "127.0.1.1")
        mesh.add(workload("server", SPACE), "127.0.1.11", http, alt)
        mesh.add(workload("other", SPACE), "127.0.1.12", other_http, other_alt)
        yield Arena(mesh, pods, {8080: [http, other_http], 8081: [alt, other_alt]})


def test_without_a_fault_every_call_has_the_expected_result(arena: Arena) -> None:
    assert arena.wrong(UNCHANGED) == set()


@pytest.mark.parametrize("fault", OF_ROUTES, ids=lambda fault: fault.id)
def test_a_fault_breaks_its_declared_requirements(arena: Arena, fault: Fault) -> None:
    every = set(REQUIREMENTS.values())
    # A run does not drive a scenario whose grants have no effect; here its calls are made.
    wrong = every if GRANT in fault.breaks else fault.fails & every
    # A run does not blame a requirement that presumes a failing one, whatever its calls' results.
    excused = {
        one
        for one in every
        if any(fault.fails.intersection(test.presumes) for test in index.by_requirement()[one])
    }
    assert wrong <= arena.wrong(FAULTS[fault.id].hooks()) <= wrong | excused

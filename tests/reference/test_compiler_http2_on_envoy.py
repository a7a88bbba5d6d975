"""Both versions of HTTP, and gRPC, through two real sidecars and mutual TLS."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from compiler_http2 import Client, application
from compiler_loopback import Loopback
from compiler_snapshots import (
    group,
    http,
    namespace,
    pod,
    rule,
    service,
    slices,
    snapshot,
    split,
    target,
    workload,
)
from loopback_ports import free_port

from conformance.probe.http2_framing import grpc_content
from conformance.probe.ledger import Entry

WEB, V1, V2 = "10.1.0.1", "10.1.0.11", "10.1.0.12"


@dataclasses.dataclass(frozen=True)
class Shop:
    """The sidecars of a client, v1 and v2, and the requests that reached v1's application."""

    mesh: Loopback
    objects: dict[str, list[Any]]
    v1_saw: list[Entry]

    def apply(self, *policies: dict[str, Any], permissive: bool = False) -> None:
        self.mesh.apply(snapshot(*policies, namespaces=[namespace(permissive=permissive)], **self.objects))

    def grant(self, *matches: dict[str, Any]) -> None:
        """Grants the client some routes at v1."""
        self.apply(group("routes", *matches), target("v1", ["client"], [rule("HTTPRouteGroup", "routes")]))

    @contextmanager
    def client(self, address: str = V1) -> Iterator[Client]:
        with self.mesh["client"].connect(address, 8080) as connection:
            yield Client(connection)


# Services may declare the version or not: all of their ports accept both.
@pytest.fixture(scope="module", params=["http", "kubernetes.io/h2c", "grpc"])
def shop(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Shop]:
    v1_port, v2_port = free_port(), free_port()
    web = {"web": "yes"}
    pods = [
        pod("client", "127.0.1.1"),
        pod("v1", "127.0.1.11", labels={"app": "v1", **web}, ports={"http": v1_port}),
        pod("v2", "127.0.1.12", labels={"app": "v2", **web}, ports={"http": v2_port}),
    ]
    port = {**http(8080, target="http"), "appProtocol": request.param}
    services = [service("web", WEB, port, selector=web), service("v1", V1, port), service("v2", V2, port)]
    objects = {"pods": pods, "services": services, "endpointslices": slices(services, pods)}
    with ExitStack() as stack:
        v1_saw = stack.enter_context(application("v1", v1_port))
        stack.enter_context(application("v2", v2_port))
        directory: Path = tmp_path_factory.mktemp("mesh")
        mesh = Loopback(directory)
        stack.callback(mesh.close)
        for name, ip, *ports in (
            ("client", "127.0.1.1"),
            ("v1", "127.0.1.11", v1_port),
            ("v2", "127.0.1.12", v2_port),
        ):
            mesh.add(workload(str(name)), str(ip), *(int(each) for each in ports))
        yield Shop(mesh, objects, v1_saw)


def test_the_application_gets_the_clients_http_version(shop: Shop) -> None:
    shop.apply(permissive=True)
    with shop.client() as client:
        assert client.get("/version").server == "v1"
    assert shop.mesh["client"].get(V1, "/version", x_probe_status="204")[0] == 204
    second, first = shop.v1_saw[-2:]
    assert ":authority" in second.headers
    assert "host" in first.headers


def test_streams_of_one_connection_are_judged_one_by_one(shop: Shop) -> None:
    shop.grant(
        {"name": "a", "pathRegex": "/items/[0-9]+", "methods": ["GET"]},
        {"name": "b", "pathRegex": "/.*", "methods": ["*"], "headers": {"X-User": "alice"}},
    )
    asked = [
        ("GET", "/items/7", {}),
        ("GET", "/items/x", {}),
        ("POST", "/items/7", {}),
        ("POST", "/items/x", {"x_user": "alice"}),
        ("POST", "/items/x", {"x_user": "bob"}),
    ]
    with shop.client() as client:
        before = len(shop.v1_saw)
        assert [answer.status for answer in client.side_by_side(asked)] == [200, 403, 403, 200, 403]
        assert [answer.status for answer in client.side_by_side(asked)] == [200, 403, 403, 200, 403]
    assert len(shop.v1_saw) == before + 4


def test_http_1_is_judged_by_the_same_rules(shop: Shop) -> None:
    shop.grant({"name": "a", "pathRegex": "/items/[0-9]+", "methods": ["GET"]})
    get = shop.mesh["client"].get
    assert [get(V1, path)[0] for path in ("/items/7", "/items/x")] == [200, 403]


def test_a_withdrawn_grant_ends_on_an_open_connection(shop: Shop) -> None:
    shop.grant({"name": "a", "pathRegex": "/.*", "methods": ["*"]})
    with shop.client() as client:
        assert client.get().status == 200
        shop.apply()
        assert client.get().status == 403


def test_weights_divide_the_streams_of_one_connection(shop: Shop) -> None:
    shop.apply(split("web", {"v1": 300, "v2": 100}), permissive=True)
    with shop.client(WEB) as client:
        answers = client.side_by_side([("GET", "/", {})] * 50)
        for _ in range(5):
            answers += client.side_by_side([("GET", "/", {})] * 50)
    # 300 draws with p = 3/4: standard deviation 7.5; six of them to either side.
    seen = Counter(answer.server for answer in answers)
    assert seen.total() == 300
    assert 180 <= seen["v1"] <= 270


def test_a_grpc_call_arrives_and_its_trailers_return(shop: Shop) -> None:
    shop.grant({"name": "echo", "pathRegex": "/pkg[.]Service/Echo", "methods": ["POST"]})
    with shop.client() as client:
        echo = client.call("/pkg.Service/Echo")
        other = client.call("/pkg.Service/Other")
    assert json.loads(grpc_content(echo.body))["server"] == "v1"
    assert (echo.status, echo.trailers) == (200, {"grpc-status": "0"})
    assert shop.v1_saw[-1].path == "/pkg.Service/Echo"
    assert shop.v1_saw[-1].headers["te"] == "trailers"
    # Envoy denies a gRPC call by gRPC status, in a single header block.
    assert (other.status, other.headers["grpc-status"], other.trailers) == (200, "7", {})

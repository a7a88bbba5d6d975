"""Variants on real Envoys: grants pass, everything else is denied."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any

import pytest
from compiler_loopback import Loopback, http_application
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
from tenacity import retry, stop_after_delay, wait_fixed

from smi_reference_mesh.control_plane.fault_loading import load

WEB, V1, V2 = "10.1.0.1", "10.1.0.11", "10.1.0.12"
READ = group("read", {"name": "read", "pathRegex": "/read.*", "methods": ["GET"]})
GRANT = target("v1", ["client"], [rule("HTTPRouteGroup", "read")])


class Shop:
    """Sidecars of a client, a stranger, v1 and v2, and the requests that reached v1."""

    def __init__(self, mesh: Loopback, objects: dict[str, list[Any]], v1_saw: list[str]) -> None:
        self.mesh, self._objects, self.v1_saw = mesh, objects, v1_saw

    def apply(self, variant: str, *policies: dict[str, Any], permissive: bool = False) -> None:
        self.v1_saw.clear()
        there = snapshot(*policies, **{**self._objects, "namespaces": [namespace(permissive=permissive)]})
        self.mesh.apply(there, load(variant))

    def status(self, path: str, who: str = "client", **more: Any) -> int:
        return self.mesh[who].get(V1, path, **more)[0]

    def kept(self, requests: int) -> list[str]:
        """The responders on one connection."""
        connection = HTTPConnection("service")
        connection.sock = self.mesh["client"].connect(WEB, 8080)
        found = []
        for _ in range(requests):
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            found.append(answer.headers["server"])
        connection.close()
        return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    v1_port, v2_port = free_port(), free_port()
    web = {"web": "yes"}
    pods = [
        pod("client", "127.0.1.1"),
        pod("stranger", "127.0.1.2"),
        pod("v1", "127.0.1.11", labels={"app": "v1", **web}, ports={"http": v1_port}),
        pod("v2", "127.0.1.12", labels={"app": "v2", **web}, ports={"http": v2_port}),
    ]
    services = [
        service("web", WEB, http(8080, target="http"), selector=web),
        service("v1", V1, http(8080, target="http")),
        service("v2", V2, http(8080, target="http")),
    ]
    objects = {"pods": pods, "services": services, "endpointslices": slices(services, pods)}
    with ExitStack() as stack:
        v1_saw = stack.enter_context(http_application("v1", v1_port))
        stack.enter_context(http_application("v2", v2_port))
        mesh = Loopback(tmp_path_factory.mktemp("mesh"))
        stack.callback(mesh.close)
        for name, ip, *ports in (
            ("client", "127.0.1.1"),
            ("stranger", "127.0.1.2"),
            ("v1", "127.0.1.11", v1_port),
            ("v2", "127.0.1.12", v2_port),
        ):
            mesh.add(workload(str(name)), str(ip), *(int(each) for each in ports))
        yield Shop(mesh, objects, v1_saw)


@pytest.mark.parametrize(
    ("variant", "in_part", "not_at_all"),
    [
        ("denial-is-404", 404, 404),
        ("enforced-at-the-client-too", 403, 403),
    ],
)
def test_denial_has_another_form(shop: Shop, variant: str, in_part: int, not_at_all: int) -> None:
    shop.apply(variant, READ, GRANT)
    assert shop.status("/read/one") == 200
    assert shop.status("/write") == in_part
    assert shop.status("/read/two", "stranger") == not_at_all
    assert shop.v1_saw == ["GET /read/one"]
    shop.apply(variant, READ, GRANT, permissive=True)
    assert shop.status("/write", "stranger") == 200


def test_a_caller_without_grants_is_refused_in_the_handshake(shop: Shop) -> None:
    shop.apply("identity-in-the-handshake", READ, GRANT)
    assert (shop.status("/read/one"), shop.status("/write")) == (200, 403)

    @retry(stop=stop_after_delay(10), wait=wait_fixed(0.05), reraise=True)
    def refused() -> None:
        # Former connections continue until they are drained.
        assert shop.status("/read/two", "stranger") == 503

    refused()
    assert shop.v1_saw == ["GET /read/one"]


def test_the_clients_proxy_denies_before_sending(shop: Shop) -> None:
    shop.apply("enforced-at-the-client-too", READ, GRANT)
    counted = "http.in.downstream_rq_total"
    before = shop.mesh["v1"].statistics(counted)
    assert shop.status("/read", "stranger") == 403
    assert shop.mesh["v1"].statistics(counted) == before


def test_a_service_without_grants_has_no_route(shop: Shop) -> None:
    shop.apply("denial-is-a-reset", READ, GRANT)
    assert (shop.status("/read"), shop.status("/write")) == (200, 403)
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        shop.status("/read", "stranger")
    assert shop.v1_saw == ["GET /read"]


def test_denied_requests_never_get_a_response(shop: Shop) -> None:
    shop.apply("denial-is-silence", READ, GRANT)
    assert shop.status("/read/one") == 200
    for who, path in (("client", "/write"), ("stranger", "/read")):
        connection = HTTPConnection("service")
        connection.sock = shop.mesh[who].connect(V1, 8080)
        connection.sock.settimeout(1.0)
        connection.request("GET", path)
        with pytest.raises((TimeoutError, socket.timeout)):
            connection.getresponse()
        connection.close()
    assert shop.v1_saw == ["GET /read/one"]


def test_backends_rotate(shop: Shop) -> None:
    shop.apply("balances-by-rotation", split("web", {"v1": 3, "v2": 1}), permissive=True)
    assert Counter(shop.kept(40)) == {"v1": 30, "v2": 10}


def test_a_connection_stays_with_one_backend(shop: Shop) -> None:
    shop.apply("balances-once-for-each-connection", split("web", {"v1": 1, "v2": 1}), permissive=True)
    each = [set(shop.kept(5)) for _ in range(24)]
    assert all(len(found) == 1 for found in each)
    assert set.union(*each) == {"v1", "v2"}
    (_, _, seen) = shop.mesh["client"].get(WEB)
    assert "x-smi-choice" not in {name.lower() for name in seen}


def test_requests_upgraded_between_proxies_arrive_in_their_original_version(shop: Shop) -> None:
    shop.apply("http-2-between-proxies", READ, GRANT)
    # The application would not understand HTTP/2.
    status, who, seen = shop.mesh["client"].get(V1, "/read")
    assert (status, who) == (200, "v1")
    assert not {name.lower() for name in seen} & {"x-smi-originally"}
    assert (
        shop.mesh["v1"].statistics("http.in.downstream_cx_http2_total")["http.in.downstream_cx_http2_total"]
        != "0"
    )
    assert shop.status("/read", "stranger") == 403


def test_headers_are_added(shop: Shop) -> None:
    shop.apply("headers-added", permissive=True)
    names = {name.lower() for name in shop.mesh["client"].get(V1)[2]}
    assert {"x-request-id", "x-smi-mesh", "via"} <= names


def test_names_of_headers_are_written_in_title_case(shop: Shop) -> None:
    shop.apply("headers-in-title-case", permissive=True)
    names = shop.mesh["client"].get(V1, x_some_name="value")[2]
    assert "X-Some-Name" in names

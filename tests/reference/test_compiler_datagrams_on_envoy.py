"""Datagrams through a real Envoy: permitted by source address, also after changes."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from compiler_loopback import Loopback, udp_application
from compiler_snapshots import namespace, pod, rule, snapshot, target, tcp_route, udp_route, workload
from loopback_ports import free_port

CLIENT, STRANGER, SERVER = "127.0.1.1", "127.0.1.2", "127.0.1.11"
WAIT_S = 0.5
"""A datagram counts as denied after this time; a granted one arrives in a thousandth of it."""


@dataclass
class Echo:
    """A server of two UDP ports with its sidecar."""

    mesh: Loopback
    ports: tuple[int, int]
    reached: tuple[list[str], ...]
    pods: list[dict[str, Any]]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def apply(self, *policies: dict[str, Any], permissive: bool = False) -> None:
        namespaces = [namespace(permissive=permissive)]
        self.mesh.apply(
            snapshot(*policies, namespaces=namespaces, pods=self.pods, services=[], endpointslices=[])
        )

    def answered(self, source: str, position: int = 0) -> bool:
        """Whether a datagram gets a response; one without must not have reached the application either."""
        said = f"{next(self.numbers)}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((source, 0))
            client.connect((SERVER, self.ports[position]))
            client.settimeout(WAIT_S)
            try:
                client.send(said.encode())
                answer = client.recv(100)
            except (TimeoutError, ConnectionRefusedError):
                assert not any(said in each for each in self.reached)
                return False
        assert answer == f"echo {said}".encode()
        assert said in self.reached[position]
        return True


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    ports = (free_port(), free_port())
    pods = [
        pod("client", CLIENT, ports={}),
        pod("stranger", STRANGER, ports={}),
        pod("echo", SERVER, ports={}, udp=ports),
    ]
    with ExitStack() as stack:
        reached = tuple(stack.enter_context(udp_application("echo", port)) for port in ports)
        mesh = Loopback(tmp_path_factory.mktemp("mesh"))
        stack.callback(mesh.close)
        mesh.add(workload("echo"), SERVER)
        yield Echo(mesh, ports, reached, pods)


def test_datagrams_are_denied_until_a_udp_route_opens_their_port_to_their_sender(echo: Echo) -> None:
    echo.apply()
    assert not echo.answered(CLIENT)

    opened = udp_route("opened", echo.ports[0]), target("echo", ["client"], [rule("UDPRoute", "opened")])
    echo.apply(*opened)
    assert echo.answered(CLIENT)
    assert not echo.answered(CLIENT, 1)
    assert not echo.answered(STRANGER)

    echo.apply()
    assert not echo.answered(CLIENT)


def test_a_tcp_route_of_the_same_port_opens_nothing(echo: Echo) -> None:
    echo.apply(tcp_route("same", *echo.ports), target("echo", ["client"], [rule("TCPRoute", "same")]))
    assert not echo.answered(CLIENT)


def test_a_route_without_ports_opens_all_also_beside_one_that_lists_some(echo: Echo) -> None:
    listed, every = udp_route("listed", echo.ports[0]), udp_route("every")
    echo.apply(every, target("echo", ["client"], [rule("UDPRoute", "every")]))
    assert [echo.answered(CLIENT, 0), echo.answered(CLIENT, 1)] == [True, True]
    assert not echo.answered(STRANGER)

    rules = [rule("UDPRoute", "listed"), rule("UDPRoute", "every")]
    echo.apply(listed, every, target("echo", ["client"], rules))
    assert [echo.answered(CLIENT, 0), echo.answered(CLIENT, 1)] == [True, True]


def test_an_active_session_ends_with_its_grant(echo: Echo) -> None:
    echo.apply(udp_route("every"), target("echo", ["client"], [rule("UDPRoute", "every")]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((CLIENT, 0))
        client.connect((SERVER, echo.ports[0]))
        client.settimeout(WAIT_S)
        client.send(b"before")
        assert client.recv(100) == b"echo before"
        echo.apply()
        client.send(b"after")
        with pytest.raises((TimeoutError, ConnectionRefusedError)):
            client.recv(100)
    assert "after" not in echo.reached[0]


def test_without_access_control_all_callers_pass(echo: Echo) -> None:
    echo.apply(permissive=True)
    assert [echo.answered(CLIENT), echo.answered(STRANGER, 1)] == [True, True]

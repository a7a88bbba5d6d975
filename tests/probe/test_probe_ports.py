"""Source ports: two connections have different ports, whatever their destinations."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conformance.probe import resolve
from conformance.probe.resolve import FIRST_PORT, ResolvedAddress, connect, source_ports


@pytest.fixture
def listeners() -> Iterator[list[ResolvedAddress]]:
    with ExitStack() as stack:
        sock = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=200)) for _ in range(2)]
        yield [ResolvedAddress(socket.AF_INET, one.getsockname()) for one in sock]


def test_connections_to_different_servers_never_share_a_source_port(listeners: list[ResolvedAddress]) -> None:
    with ExitStack() as stack:
        sock = [stack.enter_context(connect(listeners[turn % 2], datagrams=False)) for turn in range(200)]
        found = [one.getsockname()[1] for one in sock]
    assert len(set(found)) == 200
    assert set(found) <= set(source_ports())


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("32768\t60999\n", {*range(FIRST_PORT, 32_768), *range(61_000, 65_536)}),
        ("15000 65535", set(range(FIRST_PORT, 65_536))),
        ("1024 40000", set(range(40_001, 65_536))),
        ("nonsense", {*range(FIRST_PORT, 32_768), *range(61_000, 65_536)}),
    ],
)
def test_source_ports_are_outside_of_the_ephemeral_range(said: str, wanted: set[int], tmp_path: Path) -> None:
    (tmp_path / "range").write_text(said)
    found = source_ports(str(tmp_path / "range"))
    assert len(found) == len(wanted)
    assert set(found) == wanted


def test_a_connection_is_ended_by_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sock = connect(ResolvedAddress(socket.AF_INET, listening.getsockname()), datagrams=False)
        accepted, _ = listening.accept()
        with accepted:
            accepted.settimeout(5)
            sock.close()
            with pytest.raises(ConnectionResetError):
                accepted.recv(1)


def test_a_port_in_use_is_skipped(listeners: list[ResolvedAddress], monkeypatch: pytest.MonkeyPatch) -> None:
    taken = listeners[0].address[1]
    free = next(port for port in reversed(source_ports()) if _is_free(port))
    monkeypatch.setattr(resolve, "_next_port", iter([taken, free]))
    with connect(listeners[1], datagrams=False) as sock:
        assert sock.getsockname()[1] == free


def test_where_all_are_in_use_the_kernel_picks(
    listeners: list[ResolvedAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = listeners[0].address[1]
    monkeypatch.setattr(resolve, "_next_port", iter(lambda: taken, None))
    with connect(listeners[1], datagrams=False) as sock:
        assert sock.getsockname()[1] not in (0, taken)
    assert sock.fileno() == -1


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED

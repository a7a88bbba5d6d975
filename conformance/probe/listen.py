"""Listening sockets, and accepting connections on them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

BACKLOG = 4096
_RETRY_S = 0.1
Accepted = Callable[[socket.socket, str], object]


def listen(port: int, kind: socket.SocketKind) -> list[socket.socket]:
    """Sockets on all addresses of the pod; port 0 takes a free one. Raises OSError if the port is taken."""
    first = _bind(socket.AF_INET, "0.0.0.0", port, kind)  # noqa: S104 - a workload serves its pod's address
    try:
        return [first, _bind(socket.AF_INET6, "::", first.getsockname()[1], kind)]
    except OSError:
        # The pod has no IPv6.
        return [first]


def _bind(family: socket.AddressFamily, address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def accept(loop: asyncio.AbstractEventLoop, listening: socket.socket, accepted: Accepted) -> None:
    """Pass each connection to ``accepted`` from now on, with the address of the peer."""

    def ready() -> None:
        for _ in range(64):
            try:
                sock, peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # Out of file descriptors: the socket stays readable, so ignore it for a moment.
                loop.remove_reader(listening)
                loop.call_later(_RETRY_S, loop.add_reader, listening, ready)
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted(sock, peer[0])

    loop.add_reader(listening, ready)

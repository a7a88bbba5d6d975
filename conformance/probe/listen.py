"""Listening sockets, and the accepting of connections."""

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
        # No IPv6 here.
        return [first]


def _bind(family: socket.AddressFamily, address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        if kind == socket.SOCK_STREAM:
            made.listen(BACKLOG)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def accept(loop: asyncio.AbstractEventLoop, listening: socket.socket, accepted: Accepted) -> None:
    """From now on hand each connection to ``accepted``, with the address of the peer."""

    def ready() -> None:
        for _ in range(64):
            try:
                made, peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # Out of file descriptors: the connection stays readable, so look away for a moment.
                loop.remove_reader(listening)
                loop.call_later(_RETRY_S, loop.add_reader, listening, ready)
                return
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted(made, peer[0])

    loop.add_reader(listening, ready)

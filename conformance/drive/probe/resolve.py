"""Addresses of hosts, and sockets to them."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any, NamedTuple

LONGEST_S = 15.0
"""Three times the resolver's own patience with a lost packet, which is no fault of the mesh."""
_FAILURES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "closed",
    errno.ETIMEDOUT: "timeout",
}


class Target(NamedTuple):
    """Where a socket connects to."""

    family: int
    address: Any


async def resolve(host: str, port: int) -> Target | None:
    """The host's address, IPv4 if it has one; None when the name is not known."""
    loop = asyncio.get_running_loop()
    looking = loop.run_in_executor(None, _resolve, host, port)
    done, _ = await asyncio.wait({looking}, timeout=LONGEST_S)
    return looking.result() if done else None


def _resolve(host: str, port: int) -> Target | None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return Target(found[0][0], found[0][4])


def connect(target: Target, *, datagrams: bool) -> socket.socket:
    """A socket that is connected or about to be; whether that succeeds shows in its use. Raises OSError."""
    made = socket.socket(target.family, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        if not datagrams:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = made.connect_ex(target.address)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, "connect")
    except OSError:
        made.close()
        raise
    return made


def failure_of(error: OSError | None) -> str:
    """The failure that a lost connection stands for; None is an orderly end."""
    return "closed" if error is None else _FAILURES.get(error.errno or 0, "unreachable")

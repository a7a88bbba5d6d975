"""Resolves host names, and opens sockets to their addresses."""

from __future__ import annotations

import asyncio
import errno
import itertools
import random
import socket
import struct
from typing import Any, NamedTuple

RESOLVE_TIMEOUT_S = 15.0
"""Three times the resolver's own timeout for a lost packet, which is no fault of the mesh."""
_FAILURES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "closed",
    errno.ETIMEDOUT: "timeout",
}

FIRST_PORT = 10_000
_EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"
_MIN_PORTS = 10_000


def source_ports(ephemeral: str = _EPHEMERAL) -> list[int]:
    """Source ports of connections, outside of the kernel's ephemeral range, which ``ephemeral`` holds.

    Interception redirects connections to different services to one address, where two connections from the
    same source port are indistinguishable: while the kernel remembers the first, for minutes, some of the
    second are lost. The kernel picks ports per destination and so reuses the same ports; here they rotate.

    A proxy in the same pod gets its ports from the kernel. If it passed a connection through to the address
    of a service, the kernel remembers not to redirect that connection; ours from the same port would be
    mistaken for it and bypass the proxy (nf_conntrack: a SYN reopens a connection that the other end has
    reset). If the ephemeral range leaves hardly any ports, all ports are used.

    Connections end by a reset, for the kernel remembers an orderly close for two minutes
    (nf_conntrack_tcp_timeout_time_wait), a reset for ten seconds. The answers have arrived by then; and in
    two minutes the failing half of a suite makes more connections than there are ports.
    """
    try:
        with open(ephemeral, encoding="ascii") as file:
            lowest, highest = map(int, file.read().split())
    except (OSError, ValueError):
        lowest, highest = 32_768, 60_999
    ours = [*range(FIRST_PORT, lowest), *range(highest + 1, 65_536)]
    return ours if len(ours) >= _MIN_PORTS else list(range(FIRST_PORT, 65_536))


_RESET = struct.pack("ii", 1, 0)
_MAX_BIND_ATTEMPTS = 64


class ResolvedAddress(NamedTuple):
    """The address family and address that a socket connects to."""

    family: int
    address: Any


class Unresolved(NamedTuple):
    """A name without an address; ``reason`` is the resolver's message."""

    reason: str


async def resolve(host: str, port: int) -> ResolvedAddress | Unresolved:
    """The host's address, IPv4 if it has one."""
    loop = asyncio.get_running_loop()
    looking = loop.run_in_executor(None, _resolve, host, port)
    done, _ = await asyncio.wait({looking}, timeout=RESOLVE_TIMEOUT_S)
    return looking.result() if done else Unresolved(f"no answer within {RESOLVE_TIMEOUT_S:g} s")


def _resolve(host: str, port: int) -> ResolvedAddress | Unresolved:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Unresolved(error.strerror or str(error))
    except UnicodeError:
        return Unresolved("not a valid host name")
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return ResolvedAddress(found[0][0], found[0][4])


def connect(target: ResolvedAddress, *, datagrams: bool) -> socket.socket:
    """A connected or connecting socket; its use shows whether that succeeds. Raises OSError."""
    sock = socket.socket(target.family, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if not datagrams:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            _bind_next(sock)
        code = sock.connect_ex(target.address)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, "connect")
    except OSError:
        sock.close()
        raise
    return sock


_ports = source_ports()
# A random start, so that a restarted probe does not begin with its predecessor's ports.
_start = random.randrange(len(_ports))  # noqa: S311 - no secret
_next_port = itertools.cycle(_ports[_start:] + _ports[:_start])


def _bind_next(sock: socket.socket) -> None:
    """Bind to the next free source port; after too many attempts, leave the choice to the kernel."""
    for _ in range(_MAX_BIND_ATTEMPTS):
        try:
            sock.bind(("", next(_next_port)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return


def failure_of(error: OSError | None) -> str:
    """The failure of a lost connection; None is an orderly end."""
    return "closed" if error is None else _FAILURES.get(error.errno or 0, "unreachable")


def error_detail(error: OSError | None) -> bytes:
    """The kernel's message for a failure that its name does not explain, else empty."""
    if error is None or error.errno in _FAILURES:
        return b""
    return f"kernel: {error.strerror or error}".encode("utf-8", "replace")

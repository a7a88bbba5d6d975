"""Addresses of hosts, and sockets to them."""

from __future__ import annotations

import asyncio
import errno
import itertools
import random
import socket
import struct
from typing import Any, NamedTuple

LONGEST_S = 15.0
"""Three times the resolver's own patience with a lost packet, which is no fault of the mesh."""
_FAILURES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "closed",
    errno.ETIMEDOUT: "timeout",
}

FIRST_PORT = 10_000
_EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"
_FEWEST_PORTS = 10_000


def source_ports(ephemeral: str = _EPHEMERAL) -> list[int]:
    """Source ports of connections, none that the kernel gives to anybody; ``ephemeral`` says which it does.

    Interception leads connections to different services to one address, where two from the same source port
    cannot be told apart: of those that come within the minutes that the kernel remembers a connection, some
    are lost. The kernel picks ports for each destination by itself and so takes the same ones again and
    again; here they go round.

    A proxy in the same pod has its ports from the kernel. Where it passed a connection through to the address
    of a service, the kernel remembers that connection as one that is not to be redirected; one of ours from
    the same port would be taken for it, and go past the proxy (nf_conntrack: a SYN reopens a connection that
    the other end has reset). Where the kernel leaves hardly any ports we take from all of them.

    Connections are ended by a reset, for the kernel remembers one that ended in order for two minutes
    (nf_conntrack_tcp_timeout_time_wait), one that was reset for ten seconds. What was asked has been answered
    by then; and in two minutes the failing half of a suite makes more connections than there are ports.
    """
    try:
        with open(ephemeral, encoding="ascii") as stream:
            lowest, highest = map(int, stream.read().split())
    except (OSError, ValueError):
        lowest, highest = 32_768, 60_999
    ours = [*range(FIRST_PORT, lowest), *range(highest + 1, 65_536)]
    return ours if len(ours) >= _FEWEST_PORTS else list(range(FIRST_PORT, 65_536))


_RESET = struct.pack("ii", 1, 0)
_MOST_TRIES = 64


class Target(NamedTuple):
    """Where a socket connects to."""

    family: int
    address: Any


class Nowhere(NamedTuple):
    """A name without an address, and why that is in the resolver's words."""

    why: str


async def resolve(host: str, port: int) -> Target | Nowhere:
    """The host's address, IPv4 if it has one."""
    loop = asyncio.get_running_loop()
    looking = loop.run_in_executor(None, _resolve, host, port)
    done, _ = await asyncio.wait({looking}, timeout=LONGEST_S)
    return looking.result() if done else Nowhere(f"no answer within {LONGEST_S:g} s")


def _resolve(host: str, port: int) -> Target | Nowhere:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Nowhere(error.strerror or str(error))
    except UnicodeError:
        return Nowhere("not a name that can be asked for")
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return Target(found[0][0], found[0][4])


def connect(target: Target, *, datagrams: bool) -> socket.socket:
    """A socket that is connected or about to be; whether that succeeds shows in its use. Raises OSError."""
    made = socket.socket(target.family, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        if not datagrams:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            _bind_next(made)
        code = made.connect_ex(target.address)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, "connect")
    except OSError:
        made.close()
        raise
    return made


_ports = source_ports()
# A probe that was started again is not to begin with the ports of its predecessor.
_start = random.randrange(len(_ports))  # noqa: S311 - no secret
_next_port = itertools.cycle(_ports[_start:] + _ports[:_start])


def _bind_next(made: socket.socket) -> None:
    """Bind to the next source port that is free; after many that are not, leave it to the kernel."""
    for _ in range(_MOST_TRIES):
        try:
            made.bind(("", next(_next_port)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return


def failure_of(error: OSError | None) -> str:
    """The failure that a lost connection stands for; None is an orderly end."""
    return "closed" if error is None else _FAILURES.get(error.errno or 0, "unreachable")


def words_of(error: OSError | None) -> bytes:
    """What the kernel says of a failure whose name does not tell all."""
    if error is None or error.errno in _FAILURES:
        return b""
    return f"kernel: {error.strerror or error}".encode("utf-8", "replace")

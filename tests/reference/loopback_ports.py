"""Ports on loopback that nobody takes before the server that they are for."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path


def _candidates() -> list[int]:
    # The kernel gives the ports of this range to whoever connects, also in the moment before a server binds.
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = list(range(lowest - 12_000, lowest))
    # Two runs of the tests beside each other begin at different places.
    start = os.getpid() * 101 % len(ports)
    return ports[start:] + ports[:start]


_ports = itertools.cycle(_candidates())


def free_port() -> int:
    """A port that no process listens on, given once, and that the kernel gives to no connection."""
    for port in _ports:
        with socket.socket() as probe:
            # As servers do; a connection of theirs that is over does not hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("a cycle ends never")

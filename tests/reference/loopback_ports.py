"""Ports on loopback that no other process takes before their server binds."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path


def _candidates() -> list[int]:
    # The kernel assigns ports of this range to outgoing connections, also in the moment before a server
    # binds.
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = list(range(lowest - 12_000, lowest))
    # Concurrent test runs start at different positions.
    start = os.getpid() * 101 % len(ports)
    return ports[start:] + ports[:start]


_ports = itertools.cycle(_candidates())


def free_port() -> int:
    """A port that no process listens on, returned once, and that the kernel assigns to no connection."""
    for port in _ports:
        with socket.socket() as probe:
            # Like servers do; their closed connections do not hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("a cycle ends never")

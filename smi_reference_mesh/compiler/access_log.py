"""The sidecar's access log: one line per HTTP request, cheap to parse.

Fields are separated by tabs: the mark `smi`, direction, the other pod's address, status, duration in
milliseconds, cluster, route. Imports the standard library only, since the sidecar parses thousands of lines a
second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Direction = Literal["in", "out"]

# The direct remote address, since a client can forge the other by an x-forwarded-for header.
_PEER: Mapping[Direction, str] = {
    "in": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
    "out": "%UPSTREAM_HOST%",
}
_REST = ("%RESPONSE_CODE%", "%DURATION%", "%UPSTREAM_CLUSTER_RAW%", "%ROUTE_NAME%")

ACCESS_LOG_FORMAT: Mapping[Direction, str] = {
    direction: "\t".join(("smi", direction, peer, *_REST)) + "\n" for direction, peer in _PEER.items()
}
"""Envoy format strings, by direction."""

_FIELDS = 7


class Record(NamedTuple):
    """One HTTP request in one sidecar's log; `status` is 0 without a response, strings may be empty."""

    direction: Direction
    peer_ip: str
    status: int
    duration_ms: int
    cluster: str
    route: str


def parse_line(line: bytes) -> Record | None:
    """Parses a line; None for any other line of the stream."""
    if not line.startswith(b"smi\t"):
        return None
    fields = line.decode("utf-8", "replace").rstrip("\n").split("\t")
    if len(fields) != _FIELDS:
        return None
    _, direction, peer, status, duration, cluster, route = fields
    if direction == "out":
        peer = peer.rpartition(":")[0].strip("[]")
    elif direction != "in":
        return None
    if not (status.isdecimal() and duration.isdecimal()):
        return None
    absent = ("-", "")
    return Record(
        "out" if direction == "out" else "in",
        "" if peer in absent else peer,
        int(status),
        int(duration),
        "" if cluster in absent else cluster,
        "" if route in absent else route,
    )

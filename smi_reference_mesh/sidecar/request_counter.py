"""Counts the requests in Envoy's access log until they are reported to the control plane."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from smi_reference_mesh.compiler.access_log import parse_line
from smi_reference_mesh.metrics.request_counts import RequestCounts

# The number of intervals kept while the control plane is unreachable.
_KEEP_INTERVALS = 240


class RequestCounter:
    """Request counts since the last report, by direction, peer, route and cluster. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pending = threading.Event()
        self._tallies: dict[tuple[str, str, str, str], RequestCounts] = {}
        self._waiting: list[tuple[float, list[dict[str, Any]]]] = []

    def line(self, line: bytes) -> None:
        """Counts a line of the access log; ignores other lines."""
        record = parse_line(line)
        if record is None:
            return
        key = (record.direction, record.peer_ip, record.route, record.cluster)
        with self._lock:
            self._tallies.setdefault(key, RequestCounts()).count(record.status, record.duration_ms)
        self._pending.set()

    def wait_for_requests(self) -> None:
        """Waits until there are requests to report."""
        self._pending.wait()

    def close_interval(self) -> bool:
        """Ends the current interval; whether there are requests to report."""
        self._pending.clear()
        with self._lock:
            tallies, self._tallies = self._tallies, {}
        if tallies:
            entries = [
                {"direction": direction, "peer": peer, "route": route, "cluster": cluster, **tally.as_json()}
                for (direction, peer, route, cluster), tally in tallies.items()
            ]
            self._waiting = [*self._waiting[1 - _KEEP_INTERVALS :], (self._clock(), entries)]
        if self._waiting:
            # Unreported intervals are reported again, with or without new requests.
            self._pending.set()
        return bool(self._waiting)

    def intervals(self) -> list[dict[str, Any]]:
        """The unreported intervals, with their age in seconds."""
        now = self._clock()
        return [{"age_s": now - when, "tallies": entries} for when, entries in self._waiting]

    def discard(self) -> None:
        """Forgets the reported intervals."""
        self._waiting = []

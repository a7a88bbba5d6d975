"""Counts the requests in Envoy's access log until they are handed over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from smi_reference_mesh.compiler.access_log import parse_line
from smi_reference_mesh.metrics.request_counts import RequestCounts

# While the control plane cannot be reached, only this much is kept for it.
_KEEP_INTERVALS = 240


class Counter:
    """Tallies since the last hand-over, by direction, peer, route and cluster. Safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._something = threading.Event()
        self._tallies: dict[tuple[str, str, str, str], RequestCounts] = {}
        self._waiting: list[tuple[float, list[dict[str, Any]]]] = []

    def line(self, line: bytes) -> None:
        """Counts one line of the access log; other lines are ignored."""
        record = parse_line(line)
        if record is None:
            return
        key = (record.direction, record.peer_ip, record.route, record.cluster)
        with self._lock:
            self._tallies.setdefault(key, RequestCounts()).count(record.status, record.duration_ms)
        self._something.set()

    def await_something(self) -> None:
        """Waits until there is anything to count, or to hand over."""
        self._something.wait()

    def close_interval(self) -> bool:
        """Ends the current interval; whether there is anything to hand over."""
        self._something.clear()
        with self._lock:
            tallies, self._tallies = self._tallies, {}
        if tallies:
            entries = [
                {"direction": direction, "peer": peer, "route": route, "cluster": cluster, **tally.as_json()}
                for (direction, peer, route, cluster), tally in tallies.items()
            ]
            self._waiting = [*self._waiting[1 - _KEEP_INTERVALS :], (self._clock(), entries)]
        if self._waiting:
            # What could not be handed over is tried again, whether more comes or not.
            self._something.set()
        return bool(self._waiting)

    def intervals(self) -> list[dict[str, Any]]:
        """What is to be handed over, with its age in seconds."""
        now = self._clock()
        return [{"age_s": now - when, "tallies": entries} for when, entries in self._waiting]

    def handed_over(self) -> None:
        """Forgets what was handed over."""
        self._waiting = []

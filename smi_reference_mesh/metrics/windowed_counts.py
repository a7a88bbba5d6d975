"""Request counts over a sliding window, without I/O.

Sidecars report `RequestCounts` a few times a second; `WindowedCounts` keeps them in time slots and sums up
those of the window.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.metrics.request_counts import RequestCounts

Direction = Literal["in", "out"]
KEPT_S = 60.0
"""Seconds for which counts are kept, since variants with rare updates have a longer window."""


class Stream(NamedTuple):
    """The dimensions of the counts: reporting pod, direction, peer, route and cluster."""

    pod: Workload
    direction: Direction
    peer: Workload | None
    route: str
    cluster: str


@dataclass(slots=True)
class _Slot:
    number: int
    tallies: dict[Stream, RequestCounts]


class WindowedCounts:
    """The request counts of the last `window_s` seconds, kept for `kept_s`.

    Time is divided into slots of `resolution_s`; the window's far edge is exact to one slot.
    """

    def __init__(
        self,
        window_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        resolution_s: float = 0.1,
        kept_s: float = KEPT_S,
    ) -> None:
        self.window_s = window_s
        self.kept_s = max(window_s, kept_s)
        self._clock = clock
        self._resolution_s = resolution_s
        self._slots: deque[_Slot] = deque()

    def record(self, stream: Stream, tally: RequestCounts, age_s: float = 0.0) -> None:
        """Adds requests that ended `age_s` seconds ago; drops those older than `kept_s`."""
        now = self._clock()
        moment = now - max(age_s, 0.0)
        if moment <= now - self.kept_s:
            return
        slot = self._slot(math.floor(moment / self._resolution_s))
        slot.tallies.setdefault(stream, RequestCounts()).add(tally)

    def totals(self, last_s: float | None = None) -> dict[Stream, RequestCounts]:
        """The sums over the window that ends now, or over the last `last_s` seconds.

        Streams without requests are absent.
        """
        self._expire()
        horizon = self._clock() - (self.window_s if last_s is None else last_s)
        totals: dict[Stream, RequestCounts] = {}
        for slot in self._slots:
            if not self._within(slot, horizon):
                continue
            for stream, tally in slot.tallies.items():
                totals.setdefault(stream, RequestCounts()).add(tally)
        return totals

    def _slot(self, number: int) -> _Slot:
        self._expire()
        position = len(self._slots)
        while position and self._slots[position - 1].number > number:
            position -= 1
        if position and self._slots[position - 1].number == number:
            return self._slots[position - 1]
        slot = _Slot(number, {})
        self._slots.insert(position, slot)
        return slot

    def _expire(self) -> None:
        horizon = self._clock() - self.kept_s
        while self._slots and not self._within(self._slots[0], horizon):
            self._slots.popleft()

    def _within(self, slot: _Slot, horizon: float) -> bool:
        return (slot.number + 0.5) * self._resolution_s > horizon

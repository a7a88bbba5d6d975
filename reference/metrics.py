"""Request figures over a sliding window: what the traffic metrics API reports, without any I/O.

Sidecars count their requests into tallies (`Tally`) and hand these over a few times a second;
`Figures` keeps them in time slots and adds up those of the window. Latencies are kept as a histogram
with exponentially growing buckets, so that percentiles over several pods come from the merged
distribution and not from averaged percentiles.

Only the standard library is imported: the sidecar's agent uses this module, too.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from reference.world import Workload

Direction = Literal["in", "out"]

# Bucket i >= 1 covers (GROWTH**(i-2), GROWTH**(i-1)] milliseconds and is reported as its geometric middle,
# which is off by at most sqrt(1.04) - 1 < 2 %. Bucket 0 is "less than a millisecond".
_GROWTH = 1.04
_LOG_GROWTH = math.log(_GROWTH)


def bucket(milliseconds: float) -> int:
    """The histogram bucket of a latency."""
    if milliseconds < 1:
        return 0
    return 1 + math.ceil(math.log(milliseconds) / _LOG_GROWTH - 1e-9)


def bucket_value(index: int) -> float:
    """The latency in milliseconds that stands for a bucket."""
    return 0.0 if index <= 0 else float(_GROWTH ** (index - 1.5))


def is_failure(status: int) -> bool:
    """Whether a request counts as failed: a 5xx answer, or none at all (status 0).

    SMI leaves the classification open; requests refused with 4xx count as answered here.
    """
    return status == 0 or status >= 500


class Tally:
    """Requests counted: successes, failures and the latencies of both."""

    __slots__ = ("failures", "latencies", "successes")

    def __init__(
        self, successes: int = 0, failures: int = 0, latencies: Mapping[int, int] | None = None
    ) -> None:
        self.successes = successes
        self.failures = failures
        self.latencies: dict[int, int] = dict(latencies or {})

    def count(self, status: int, milliseconds: float) -> None:
        if is_failure(status):
            self.failures += 1
        else:
            self.successes += 1
        index = bucket(milliseconds)
        self.latencies[index] = self.latencies.get(index, 0) + 1

    def add(self, other: Tally) -> None:
        self.successes += other.successes
        self.failures += other.failures
        for index, number in other.latencies.items():
            self.latencies[index] = self.latencies.get(index, 0) + number

    def percentile(self, percent: float) -> float:
        """The latency in milliseconds that `percent` of requests did not exceed (nearest rank); 0 if none."""
        total = sum(self.latencies.values())
        rank = math.ceil(total * percent / 100)
        seen = 0
        for index in sorted(self.latencies):
            seen += self.latencies[index]
            if seen >= rank:
                return bucket_value(index)
        return 0.0

    def as_json(self) -> dict[str, Any]:
        return {"successes": self.successes, "failures": self.failures, "latencies": self.latencies}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Tally:
        """The tally in a report. Raises KeyError, TypeError or ValueError if it is not one."""
        latencies = {int(index): int(number) for index, number in document["latencies"].items()}
        return cls(int(document["successes"]), int(document["failures"]), latencies)


class Stream(NamedTuple):
    """What figures are kept apart by: where measured, which way, with whom, through which route."""

    pod: Workload
    direction: Direction
    peer: Workload | None
    route: str
    cluster: str


@dataclass(slots=True)
class _Slot:
    number: int
    tallies: dict[Stream, Tally]


class Figures:
    """The figures of the last `window_s` seconds.

    Time is kept in slots of `resolution_s`; the window's far edge is exact to one slot.
    """

    def __init__(
        self, window_s: float = 10.0, clock: Callable[[], float] = time.monotonic, resolution_s: float = 0.1
    ) -> None:
        self.window_s = window_s
        self._clock = clock
        self._resolution_s = resolution_s
        self._slots: deque[_Slot] = deque()

    def record(self, stream: Stream, tally: Tally, age_s: float = 0.0) -> None:
        """Adds requests that ended `age_s` seconds ago; those older than the window are dropped."""
        now = self._clock()
        moment = now - max(age_s, 0.0)
        if moment <= now - self.window_s:
            return
        slot = self._slot(math.floor(moment / self._resolution_s))
        slot.tallies.setdefault(stream, Tally()).add(tally)

    def totals(self, last_s: float | None = None) -> dict[Stream, Tally]:
        """The sum over the window that ends now, or its last seconds; streams without requests are absent."""
        self._expire()
        horizon = self._clock() - (self.window_s if last_s is None else last_s)
        totals: dict[Stream, Tally] = {}
        for slot in self._slots:
            if not self._within(slot, horizon):
                continue
            for stream, tally in slot.tallies.items():
                totals.setdefault(stream, Tally()).add(tally)
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
        horizon = self._clock() - self.window_s
        while self._slots and not self._within(self._slots[0], horizon):
            self._slots.popleft()

    def _within(self, slot: _Slot, horizon: float) -> bool:
        return (slot.number + 0.5) * self._resolution_s > horizon


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum of some tallies."""
    result = Tally()
    for tally in tallies:
        result.add(tally)
    return result

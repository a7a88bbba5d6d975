"""Counts of requests and their latencies, as sidecars report them and TrafficMetrics sum them up.

Latencies are histograms with exponential buckets, so that percentiles over several pods come from the merged
distribution instead of averaged percentiles. Imports the standard library only, since the sidecar loads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

# Bucket i >= 1 covers (GROWTH**(i-2), GROWTH**(i-1)] milliseconds and is reported as its geometric mean, with
# an error of at most sqrt(1.04) - 1 < 2 %. Bucket 0 is below a millisecond.
_GROWTH = 1.04
_LOG_GROWTH = math.log(_GROWTH)


def bucket(milliseconds: float) -> int:
    """The histogram bucket of a latency."""
    if milliseconds < 1:
        return 0
    return 1 + math.ceil(math.log(milliseconds) / _LOG_GROWTH - 1e-9)


def bucket_value(index: int) -> float:
    """The latency in milliseconds that represents a bucket."""
    return 0.0 if index <= 0 else float(_GROWTH ** (index - 1.5))


def is_failure(status: int) -> bool:
    """Whether a request failed: a 5xx response, or none (status 0).

    SMI leaves the classification open; here 4xx responses count as successes.
    """
    return status == 0 or status >= 500


class RequestCounts:
    """Successes, failures, and the latencies of both."""

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

    def add(self, other: RequestCounts) -> None:
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
    def from_json(cls, document: Mapping[str, Any]) -> RequestCounts:
        """The counts of a report. Raises KeyError, TypeError or ValueError for an invalid one."""
        latencies = {int(index): int(number) for index, number in document["latencies"].items()}
        return cls(int(document["successes"]), int(document["failures"]), latencies)


def total(tallies: Iterable[RequestCounts]) -> RequestCounts:
    """The sum of several counts."""
    result = RequestCounts()
    for tally in tallies:
        result.add(tally)
    return result

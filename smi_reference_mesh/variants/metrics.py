"""Variants of traffic metrics: their interval, their vantage point, and their accuracy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from smi_reference_mesh.hooks import DefaultHooks
from smi_reference_mesh.metrics.request_counts import RequestCounts, total
from smi_reference_mesh.metrics.traffic_metrics import MetricsSnapshot
from smi_reference_mesh.metrics.windowed_counts import Direction, Stream, WindowedCounts
from smi_reference_mesh.variants.variant import CHAIN, Variant

Totals = Mapping[Stream, RequestCounts]


class TakenEvery(DefaultHooks):
    """Responds with counts taken every few seconds, over a window of their own."""

    def __init__(self, seconds: float, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._window_s = window_s
        self._clock = clock
        self._beat = -math.inf
        self._totals: Totals = {}

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        beat = self._clock() // self._seconds
        if beat != self._beat:
            self._beat, self._totals = beat, counts.totals(self._window_s)
        return False

    def metrics_snapshot(self, metrics_snapshot: MetricsSnapshot, counts: WindowedCounts) -> MetricsSnapshot:
        return replace(metrics_snapshot, totals=self._totals, window_s=self._window_s)


class Extrapolated(DefaultHooks):
    """Extrapolates counts from most of a window to the whole window, like Prometheus' increase()."""

    def __init__(self, window_s: float, known_s: float) -> None:
        self._window_s = window_s
        self._known_s = known_s

    def metrics_snapshot(self, metrics_snapshot: MetricsSnapshot, counts: WindowedCounts) -> MetricsSnapshot:
        factor = self._window_s / self._known_s
        known = counts.totals(self._known_s)
        return replace(
            metrics_snapshot,
            totals={stream: _stretched(tally, factor) for stream, tally in known.items()},
            window_s=self._window_s,
        )


def _stretched(tally: RequestCounts, factor: float) -> RequestCounts:
    return RequestCounts(round(tally.successes * factor), round(tally.failures * factor), tally.latencies)


class FromOneEnd(DefaultHooks):
    """Responds for both directions with the counts of one end of each call."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction

    def metrics_snapshot(self, metrics_snapshot: MetricsSnapshot, counts: WindowedCounts) -> MetricsSnapshot:
        found: dict[Stream, list[RequestCounts]] = {}
        for stream, tally in metrics_snapshot.totals.items():
            if stream.direction == self._direction:
                found.setdefault(stream, []).append(tally)
                if stream.peer is not None:
                    found.setdefault(_other_end(stream), []).append(tally)
        return replace(metrics_snapshot, totals={stream: total(tallies) for stream, tallies in found.items()})


def _other_end(stream: Stream) -> Stream:
    assert stream.peer is not None  # noqa: S101 - for the type checker
    direction: Direction = "in" if stream.direction == "out" else "out"
    return Stream(stream.peer, direction, stream.pod, stream.route, stream.cluster)


def from_the_client() -> FromOneEnd:
    """Only clients' proxies count requests."""
    return FromOneEnd("out")


_READ = CHAIN | {"traffic_split/test_canary_metrics.py"}


VARIANTS = (
    Variant(
        "metrics-each-second",
        "Metrics are updated each second, over ten seconds.",
        _READ,
        lambda: TakenEvery(1.0, 10.0),
        profile={"metrics": {"delay_s": 4}},
    ),
    Variant(
        "metrics-every-five-seconds",
        "Metrics are updated every five seconds, over twenty.",
        _READ,
        lambda: TakenEvery(5.0, 20.0),
        profile={"metrics": {"delay_s": 8}},
    ),
    Variant(
        "metrics-every-fifteen-seconds",
        "Metrics are updated every fifteen seconds, over thirty.",
        CHAIN,
        lambda: TakenEvery(15.0, 30.0),
        profile={"metrics": {"delay_s": 18}},
    ),
    Variant(
        "metrics-extrapolated",
        "Metrics over ten seconds are extrapolated from the last eight.",
        CHAIN,
        lambda: Extrapolated(10.0, 8.0),
        profile={"metrics": {"sampled": True, "delay_s": 4}},
        real_meshes=("what reads Prometheus",),
    ),
    Variant(
        "metrics-from-the-client",
        "Only the client's proxy counts requests, for both ends.",
        _READ,
        from_the_client,
    ),
    Variant(
        "metrics-from-the-server",
        "Only the server's proxy counts requests, for both ends.",
        CHAIN,
        lambda: FromOneEnd("in"),
    ),
)

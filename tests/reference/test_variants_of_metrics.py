"""Variants of traffic metrics: interval, vantage point, and accuracy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.metrics.request_counts import RequestCounts
from smi_reference_mesh.metrics.traffic_metrics import Inventory, MetricsSnapshot
from smi_reference_mesh.metrics.windowed_counts import Stream, WindowedCounts
from smi_reference_mesh.variants.metrics import Extrapolated, FromOneEnd, TakenEvery

CLIENT, SERVER = Workload("ns", "client"), Workload("ns", "server")
SENT = Stream(CLIENT, "out", SERVER, "root", "outbound|ns|server|80")
RECEIVED = Stream(SERVER, "in", CLIENT, "inbound|80", "inbound|80")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def metrics_snapshot(counts: WindowedCounts) -> MetricsSnapshot:
    return MetricsSnapshot(Inventory({}), counts.totals(), counts.window_s, datetime.now(UTC))


def figures_of(clock: Clock, *streams: Stream, requests: int = 40) -> WindowedCounts:
    counts = WindowedCounts(10.0, clock)
    for stream in streams:
        counts.record(stream, RequestCounts(requests, requests // 4, {3: requests}))
    return counts


def test_counts_show_after_the_next_update() -> None:
    clock = Clock()
    taken = TakenEvery(15.0, 30.0, clock)
    counts = WindowedCounts(10.0, clock)
    taken.observe(counts, settled=True)
    clock.now += 1
    counts.record(RECEIVED, RequestCounts(40))
    taken.observe(counts, settled=True)
    assert taken.metrics_snapshot(metrics_snapshot(counts), counts).totals == {}
    clock.now += 15
    taken.observe(counts, settled=True)
    shown = taken.metrics_snapshot(metrics_snapshot(counts), counts)
    assert (shown.totals[RECEIVED].successes, shown.window_s) == (40, 30.0)
    clock.now += 30
    taken.observe(counts, settled=True)
    assert taken.metrics_snapshot(metrics_snapshot(counts), counts).totals == {}


def test_extrapolated_counts_are_right_under_steady_load_only() -> None:
    clock = Clock()
    counts = WindowedCounts(10.0, clock)
    for _ in range(100):
        counts.record(RECEIVED, RequestCounts(3, 1))
        clock.now += 0.1
    hooks = Extrapolated(10.0, 8.0)
    shown = hooks.metrics_snapshot(metrics_snapshot(counts), counts).totals[RECEIVED]
    assert (shown.successes, shown.failures) == pytest.approx((300, 100), rel=0.03)
    burst = figures_of(clock, SENT)
    assert hooks.metrics_snapshot(metrics_snapshot(burst), burst).totals[SENT].successes == 50


@pytest.mark.parametrize("direction", ["in", "out"])
def test_one_ends_counts_are_reported_for_both(direction: str) -> None:
    counts = figures_of(Clock(), SENT, RECEIVED)
    only = FromOneEnd("in" if direction == "in" else "out")
    shown = only.metrics_snapshot(metrics_snapshot(counts), counts).totals
    told = {
        (stream.pod.name, stream.direction, stream.peer): tally.successes for stream, tally in shown.items()
    }
    assert told == {("server", "in", CLIENT): 40, ("client", "out", SERVER): 40}
    alone = figures_of(Clock(), RECEIVED if direction == "out" else SENT)
    assert only.metrics_snapshot(metrics_snapshot(alone), alone).totals == {}

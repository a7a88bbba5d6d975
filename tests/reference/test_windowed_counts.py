from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.metrics.request_counts import RequestCounts, bucket, bucket_value, is_failure, total
from smi_reference_mesh.metrics.windowed_counts import Stream, WindowedCounts

STREAM = Stream(Workload("ns", "server"), "in", Workload("ns", "client"), "root", "inbound")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def one(status: int = 200, milliseconds: float = 5.0) -> RequestCounts:
    tally = RequestCounts()
    tally.count(status, milliseconds)
    return tally


@given(st.floats(min_value=1, max_value=600_000))
def test_a_bucket_represents_a_latency_to_within_two_percent(milliseconds: float) -> None:
    assert bucket_value(bucket(milliseconds)) == pytest.approx(milliseconds, rel=0.02)


def test_less_than_a_millisecond_is_zero() -> None:
    assert bucket_value(bucket(0)) == 0
    assert bucket_value(bucket(1)) == pytest.approx(1, rel=0.02)


@given(st.lists(st.integers(min_value=0, max_value=60_000), min_size=1))
def test_percentiles_are_those_of_the_nearest_rank_and_in_order(latencies: list[int]) -> None:
    tally = RequestCounts()
    for latency in latencies:
        tally.count(200, latency)
    exact = [sorted(latencies)[-(-len(latencies) * percent // 100) - 1] for percent in (50, 90, 99)]
    found = [tally.percentile(percent) for percent in (50, 90, 99)]
    assert found == pytest.approx(exact, rel=0.02)
    assert found == sorted(found)


def test_the_last_seconds_of_the_window_are_available_separately() -> None:
    clock = Clock()
    counts = WindowedCounts(10.0, clock)
    counts.record(STREAM, one(), age_s=5.0)
    counts.record(STREAM, one(status=500))
    assert counts.totals()[STREAM].successes == 1
    assert counts.totals(last_s=1.0)[STREAM].successes == 0
    clock.now += 2.0
    assert counts.totals(last_s=1.0) == {}
    assert counts.totals()[STREAM].failures == 1


def test_percentiles_of_several_pods_come_from_the_merged_distribution() -> None:
    fast, slow = RequestCounts(), RequestCounts()
    for _ in range(50):
        fast.count(200, 1)
        slow.count(200, 1000)
    assert total([fast, slow]).percentile(99) == pytest.approx(1000, rel=0.02)


def test_the_percentile_of_nothing_is_zero() -> None:
    assert RequestCounts().percentile(99) == 0


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (302, False), (404, False), (500, True), (503, True), (0, True)]
)
def test_server_errors_and_missing_answers_are_failures(status: int, failed: bool) -> None:
    assert is_failure(status) is failed


def test_counts_survive_their_report() -> None:
    tally = total([one(200, 7), one(500, 900), one(0, 0)])
    again = RequestCounts.from_json(json.loads(json.dumps(tally.as_json())))
    assert (again.successes, again.failures, again.latencies) == (1, 2, tally.latencies)


def test_the_window_excludes_older_requests() -> None:
    clock = Clock()
    counts = WindowedCounts(window_s=10, clock=clock)
    counts.record(STREAM, one())
    clock.now += 9.5
    counts.record(STREAM, one(500))
    assert (counts.totals()[STREAM].successes, counts.totals()[STREAM].failures) == (1, 1)
    clock.now += 1
    assert (counts.totals()[STREAM].successes, counts.totals()[STREAM].failures) == (0, 1)
    clock.now += 10
    assert counts.totals() == {}


def test_a_late_report_counts_when_its_requests_ended() -> None:
    clock = Clock()
    counts = WindowedCounts(window_s=10, clock=clock)
    counts.record(STREAM, one())
    counts.record(STREAM, one(), age_s=8)
    counts.record(STREAM, one(), age_s=11)
    assert counts.totals()[STREAM].successes == 2
    clock.now += 3
    assert counts.totals()[STREAM].successes == 1


def test_a_steady_load_counts_rate_times_window() -> None:
    clock = Clock()
    counts = WindowedCounts(window_s=10, clock=clock)
    for _ in range(3000):
        counts.record(STREAM, one())
        clock.now += 0.01
    assert counts.totals()[STREAM].successes == pytest.approx(1000, rel=0.02)


def test_streams_are_kept_apart() -> None:
    clock = Clock()
    counts = WindowedCounts(clock=clock)
    other = STREAM._replace(peer=Workload("ns", "other"))
    counts.record(STREAM, one())
    counts.record(other, one())
    counts.record(other, one())
    assert {stream: tally.successes for stream, tally in counts.totals().items()} == {STREAM: 1, other: 2}

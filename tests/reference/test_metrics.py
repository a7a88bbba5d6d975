from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.metrics import Figures, Stream
from smi_reference_mesh.tally import Tally, bucket, bucket_value, is_failure, total

STREAM = Stream(Workload("ns", "server"), "in", Workload("ns", "client"), "root", "inbound")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def one(status: int = 200, milliseconds: float = 5.0) -> Tally:
    tally = Tally()
    tally.count(status, milliseconds)
    return tally


@given(st.floats(min_value=1, max_value=600_000))
def test_a_bucket_stands_for_a_latency_to_within_two_percent(milliseconds: float) -> None:
    assert bucket_value(bucket(milliseconds)) == pytest.approx(milliseconds, rel=0.02)


def test_less_than_a_millisecond_is_nothing() -> None:
    assert bucket_value(bucket(0)) == 0
    assert bucket_value(bucket(1)) == pytest.approx(1, rel=0.02)


@given(st.lists(st.integers(min_value=0, max_value=60_000), min_size=1))
def test_percentiles_are_those_of_the_nearest_rank_and_in_order(latencies: list[int]) -> None:
    tally = Tally()
    for latency in latencies:
        tally.count(200, latency)
    exact = [sorted(latencies)[-(-len(latencies) * percent // 100) - 1] for percent in (50, 90, 99)]
    found = [tally.percentile(percent) for percent in (50, 90, 99)]
    assert found == pytest.approx(exact, rel=0.02)
    assert found == sorted(found)


def test_the_last_seconds_of_the_window_are_told_apart() -> None:
    clock = Clock()
    figures = Figures(10.0, clock)
    figures.record(STREAM, one(), age_s=5.0)
    figures.record(STREAM, one(status=500))
    assert figures.totals()[STREAM].successes == 1
    assert figures.totals(last_s=1.0)[STREAM].successes == 0
    clock.now += 2.0
    assert figures.totals(last_s=1.0) == {}
    assert figures.totals()[STREAM].failures == 1


def test_percentiles_of_several_pods_come_from_the_merged_distribution() -> None:
    fast, slow = Tally(), Tally()
    for _ in range(50):
        fast.count(200, 1)
        slow.count(200, 1000)
    assert total([fast, slow]).percentile(99) == pytest.approx(1000, rel=0.02)


def test_the_percentile_of_nothing_is_zero() -> None:
    assert Tally().percentile(99) == 0


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (302, False), (404, False), (500, True), (503, True), (0, True)]
)
def test_server_errors_and_missing_answers_are_failures(status: int, failed: bool) -> None:
    assert is_failure(status) is failed


def test_a_tally_survives_its_report() -> None:
    tally = total([one(200, 7), one(500, 900), one(0, 0)])
    again = Tally.from_json(json.loads(json.dumps(tally.as_json())))
    assert (again.successes, again.failures, again.latencies) == (1, 2, tally.latencies)


def test_the_window_forgets_what_is_older() -> None:
    clock = Clock()
    figures = Figures(window_s=10, clock=clock)
    figures.record(STREAM, one())
    clock.now += 9.5
    figures.record(STREAM, one(500))
    assert (figures.totals()[STREAM].successes, figures.totals()[STREAM].failures) == (1, 1)
    clock.now += 1
    assert (figures.totals()[STREAM].successes, figures.totals()[STREAM].failures) == (0, 1)
    clock.now += 10
    assert figures.totals() == {}


def test_a_late_report_counts_when_its_requests_ended() -> None:
    clock = Clock()
    figures = Figures(window_s=10, clock=clock)
    figures.record(STREAM, one())
    figures.record(STREAM, one(), age_s=8)
    figures.record(STREAM, one(), age_s=11)
    assert figures.totals()[STREAM].successes == 2
    clock.now += 3
    assert figures.totals()[STREAM].successes == 1


def test_a_steady_load_counts_rate_times_window() -> None:
    clock = Clock()
    figures = Figures(window_s=10, clock=clock)
    for _ in range(3000):
        figures.record(STREAM, one())
        clock.now += 0.01
    assert figures.totals()[STREAM].successes == pytest.approx(1000, rel=0.02)


def test_streams_are_kept_apart() -> None:
    clock = Clock()
    figures = Figures(clock=clock)
    other = STREAM._replace(peer=Workload("ns", "other"))
    figures.record(STREAM, one())
    figures.record(other, one())
    figures.record(other, one())
    assert {stream: tally.successes for stream, tally in figures.totals().items()} == {STREAM: 1, other: 2}

"""Which scenario is driven in which lane, and when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from conformance.drive.scenario import Scenario
from conformance.drive.wait import OnWait
from conformance.run.context import RunContext
from conformance.run.scheduler import (
    PrefetchedScenario,
    ScenarioScheduler,
    ScheduledScenario,
    SchedulerClosed,
    drive_and_store,
)
from conformance.traceability.index import ScenarioMark

from .fake_cluster import FakeCluster

SOON_S = 10.0
"""Seconds in which another thread must act; tests wait no longer."""


def turn(name: str, *arena: str, alone: bool = False, drive: Any = "evidence") -> ScheduledScenario:
    mark = ScenarioMark(f"own/{name}", arena, (), alone=alone)
    return ScheduledScenario(mark, drive=None if drive is None else lambda scenario: drive)


class Second:
    """The second lane's work, held up until the test lets it go on."""

    def __init__(self, context: RunContext, *, slow: bool = False) -> None:
        self._context = context
        self._slow = slow
        self.begun: list[str] = []
        self._begin = threading.Semaphore(0)
        self._go_on = threading.Semaphore(0)

    def __call__(self, one: ScheduledScenario, on_wait: OnWait) -> PrefetchedScenario | None:
        self.begun.append(one.mark.folder)
        self._begin.release()
        while not self._go_on.acquire(timeout=0.01):
            on_wait("held up by the test", 0, 0)
        if self._slow:
            return None
        scenario = self._context.scenario(one.mark.folder)
        drive_and_store(scenario, one)
        return PrefetchedScenario(scenario, 2.5)

    def wait(self) -> None:
        assert self._begin.acquire(timeout=SOON_S), "the second lane begins nothing"

    def let_go(self) -> None:
        self._go_on.release()


@contextmanager
def opened(
    turns: list[ScheduledScenario], second: Callable[[ScheduledScenario, OnWait], PrefetchedScenario | None]
) -> Iterator[ScenarioScheduler]:
    lanes = ScenarioScheduler(turns, second)
    lanes.start()
    try:
        yield lanes
    finally:
        lanes.close()


def test_the_second_lane_prefetches_from_the_far_end(context: RunContext) -> None:
    first, middle, last = turn("first", "access"), turn("middle", "main"), turn("last", "main")
    second = Second(context)
    with opened([first, middle, last], second) as lanes:
        assert lanes.claim(first) is None
        second.wait()
        second.let_go()
        second.wait()
        second.let_go()
        lanes.release()
        for one in (middle, last):
            ahead = lanes.claim(one)
            assert ahead is not None
            assert ahead.seconds == 2.5
            assert ahead.scenario.prefetched is not None
            assert ahead.scenario.prefetched.result() == "evidence"
    assert second.begun == ["own/last", "own/middle"]


@pytest.mark.parametrize(
    "other",
    [
        turn("same-part", "main", "peer"),
        turn("alone", "access", alone=True),
        turn("only-tests", "access", drive=None),
    ],
    ids=lambda one: one.mark.folder,
)
def test_conflicting_scenarios_are_left_to_the_first_lane(
    context: RunContext, other: ScheduledScenario
) -> None:
    first, last = turn("first", "peer", "outside"), turn("last", "access", "outside")
    second = Second(context)
    with opened([first, other, last], second) as lanes:
        assert lanes.claim(first) is None
        second.wait()
        second.let_go()
        # The finished scenario was the only one that could be prefetched.
        lanes.release()
        assert lanes.claim(other) is None
        assert lanes.claim(last) is not None
    assert second.begun == ["own/last"]


def test_no_scenario_runs_alongside_one_that_must_run_alone(context: RunContext) -> None:
    first, last = turn("first", "main", alone=True), turn("last", "access")
    second = Second(context)
    lanes = ScenarioScheduler([first, last], second)
    assert lanes.claim(first) is None
    lanes.start()
    assert lanes.following("second") == []
    lanes.release()
    second.wait()
    second.let_go()
    lanes.close()
    assert second.begun == ["own/last"]


def test_the_first_lane_waits_for_a_conflicting_scenario(context: RunContext) -> None:
    first, last = turn("first", "main"), turn("last", "main")
    second = Second(context)
    with opened([first, last], second) as lanes, ThreadPoolExecutor() as pool:
        second.wait()
        claimed = pool.submit(lanes.claim, first)
        # A claim keeps the second lane from the scenario's parts even before the first lane can start.
        while lanes.following("first"):
            pass
        assert not claimed.done()
        second.let_go()
        assert claimed.result(SOON_S) is None


def test_on_a_slow_machine_the_first_lane_drives_all_remaining_scenarios(context: RunContext) -> None:
    first, middle, last = turn("first", "access"), turn("middle", "main"), turn("last", "main")
    second = Second(context, slow=True)
    with opened([first, middle, last], second) as lanes:
        assert lanes.claim(first) is None
        second.wait()
        second.let_go()
        lanes.release()
        for one in (middle, last):
            assert lanes.claim(one) is None
            lanes.release()
    assert second.begun == ["own/last"]


def test_after_a_starved_scenario_the_first_lane_goes_on_alone(context: RunContext) -> None:
    first, last = turn("first", "main"), turn("last", "main")
    second = Second(context)
    lanes = ScenarioScheduler([first, last], second)
    assert lanes.claim(first) is None
    lanes.start()
    lanes.release(halt=True)
    assert lanes.claim(last) is None
    lanes.close()
    assert second.begun == []


def test_a_prefetch_is_interrupted_at_the_end(context: RunContext) -> None:
    ended: list[str] = []

    def endless(one: ScheduledScenario, on_wait: OnWait) -> PrefetchedScenario | None:
        def wait() -> None:
            while True:
                on_wait("what never comes", 0, 0)

        begun.set()
        with pytest.raises(SchedulerClosed):
            wait()
        ended.append(one.mark.folder)
        return None

    begun = threading.Event()
    lanes = ScenarioScheduler([turn("first", "main")], endless)
    lanes.start()
    assert begun.wait(SOON_S)
    lanes.close()
    assert ended == ["own/first"]


def test_an_exception_of_a_prefetch_is_kept_for_its_tests(context: RunContext) -> None:
    def skips(scenario: Scenario) -> None:
        pytest.skip("nothing to drive")

    scenario = context.scenario("own/skipping")
    drive_and_store(scenario, ScheduledScenario(ScenarioMark("own/skipping", ("main",), ()), drive=skips))
    assert scenario.prefetched is not None
    with pytest.raises(pytest.skip.Exception, match="nothing to drive"):
        scenario.prefetched.result()


def test_services_stay_until_their_scenario_is_over(context: RunContext, cluster: FakeCluster) -> None:
    def there() -> set[str]:
        return {name for kind, _, name in cluster.objects if kind == "Service"} & {
            "moving",
            "turning",
            "shop",
        }

    split, turning, edits = (
        "traffic-split/weighted-distribution",
        "common/convergence",
        "traffic-split/live-edits",
    )
    context.create_services([turning, split])
    assert there() == {"turning", "shop"}
    context.create_services([edits], kept=[split, "traffic-split/delete"])
    assert there() == {"moving", "shop"}
    context.create_services([split], kept=[split])
    assert there() == {"shop"}
    context.create_services([])
    assert there() == set()


def test_running_and_waiting_scenarios_are_unfinished(context: RunContext) -> None:
    first, last = turn("a", "main"), turn("b", "peer")
    second = Second(context)
    with opened([first, last], second) as lanes:
        second.wait()
        assert lanes.claim(first) is None
        assert lanes.unfinished() == [first, last]
        lanes.release()
        assert lanes.unfinished() == [last]
        second.let_go()
        assert lanes.claim(last) is not None
        assert lanes.unfinished() == []

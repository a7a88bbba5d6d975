"""Two lanes, which drive two scenarios at the same time if they use different namespaces.

The first lane is pytest's thread, which runs the scenarios in order. The second lane begins at the far end
and prefetches scenarios before their tests; when the first lane reaches such a scenario, it only judges the
evidence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from conformance.drive.arena import OUTSIDE
from conformance.drive.scenario import Scenario
from conformance.drive.version_selection import VersionSet
from conformance.drive.wait import OnWait
from conformance.suite import Drive
from conformance.traceability.index import ScenarioMark

Lane = Literal["first", "second"]

_ENDS_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class ScheduledScenario:
    """A scenario in one set of versions; None if the run has only one set.

    ``drive`` is None if the tests themselves drive the scenario.
    """

    mark: ScenarioMark
    versions: VersionSet | None = None
    drive: Drive | None = None

    @property
    def parts(self) -> frozenset[str]:
        """The parts of the arena that the scenario changes.

        The part outside the mesh counts only for scenarios without another part: all others only call it.
        """
        return frozenset(self.mark.arena) - {OUTSIDE} or frozenset(self.mark.arena)

    def can_run_alongside(self, other: ScheduledScenario) -> bool:
        """Whether both can be driven at the same time."""
        return not (self.mark.alone or other.mark.alone or self.parts & other.parts)


@dataclass(frozen=True, slots=True)
class PrefetchedScenario:
    """A scenario that was driven before its tests, and its duration in seconds."""

    scenario: Scenario
    seconds: float


class ScenarioScheduler:
    """Assigns scenarios to the two lanes.

    ``drive`` drives a scenario for the second lane; its second argument is called during waits, and raises
    `SchedulerClosed` to end them. If ``drive`` returns None, the machine is too slow for two lanes: that
    scenario and all that follow are left to the first lane. ``may_start`` returns whether the second lane
    may take a scenario yet.
    """

    def __init__(
        self,
        schedule: Sequence[ScheduledScenario],
        drive: Callable[[ScheduledScenario, OnWait], PrefetchedScenario | None],
        may_start: Callable[[ScheduledScenario], bool] = lambda scheduled: True,
    ) -> None:
        self._schedule = tuple(schedule)
        self._may_start = may_start
        self._waiting = list(schedule)
        self._drive = drive
        self._prefetched: dict[ScheduledScenario, PrefetchedScenario] = {}
        self._first: ScheduledScenario | None = None
        self._second: ScheduledScenario | None = None
        self._halted = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._second_lane, name="second lane", daemon=True)

    def start(self) -> None:
        """Start the second lane."""
        self._thread.start()

    def claim(self, scheduled: ScheduledScenario) -> PrefetchedScenario | None:
        """Claim a scenario for the first lane; returns it if it was prefetched, else None.

        Waits for a conflicting scenario in the second lane. After None the caller drives the scenario, and
        calls `release` at its end.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._second is not scheduled)
            if scheduled not in self._waiting:
                return self._prefetched.pop(scheduled)
            self._waiting.remove(scheduled)
            # From here on the second lane takes no conflicting scenario.
            self._first = scheduled
            self._changed.wait_for(lambda: self._second is None or self._second.can_run_alongside(scheduled))
        return None

    def release(self, *, halt: bool = False) -> None:
        """The first lane's scenario is over. ``halt``: the second lane takes no more scenarios."""
        with self._changed:
            self._first = None
            self._halted |= halt
            self._changed.notify_all()

    def close(self) -> None:
        """End the second lane, and interrupt its waits."""
        self._closed = True
        self.release(halt=True)
        if self._thread.is_alive():
            self._thread.join(_ENDS_WITHIN_S)

    def following(self, lane: Lane) -> list[ScheduledScenario]:
        """The scenario that a lane will probably take next; empty at its end."""
        with self._changed:
            following = self._pick() if lane == "second" else next(iter(self._waiting), None)
        return [following] if following else []

    def unfinished(self) -> list[ScheduledScenario]:
        """The scenarios that are being driven, and those that still wait."""
        with self._changed:
            under_way = [one for one in (self._first, self._second) if one is not None]
            return [*under_way, *self._waiting]

    def _pick(self) -> ScheduledScenario | None:
        first = self._first
        return next(
            (
                scheduled
                for scheduled in reversed(self._waiting)
                if scheduled.drive
                and not scheduled.mark.alone
                and (first is None or scheduled.can_run_alongside(first))
                and self._may_start(scheduled)
            ),
            None,
        )

    def _take_for_second_lane(self) -> ScheduledScenario | None:
        with self._changed:
            self._changed.wait_for(lambda: self._halted or not self._waiting or self._pick() is not None)
            self._second = None if self._halted else self._pick()
            if self._second is not None:
                self._waiting.remove(self._second)
            return self._second

    def _second_lane(self) -> None:
        while (scheduled := self._take_for_second_lane()) is not None:
            prefetched = None
            try:
                prefetched = self._drive(scheduled, self._on_wait)
            finally:
                self._finish(scheduled, prefetched)

    def _finish(self, scheduled: ScheduledScenario, prefetched: PrefetchedScenario | None) -> None:
        with self._changed:
            self._second = None
            if prefetched is not None:
                self._prefetched[scheduled] = prefetched
            else:
                self._halted = True
                self._waiting = [one for one in self._schedule if one in self._waiting or one is scheduled]
            self._changed.notify_all()

    def _on_wait(self, because: str, elapsed: float, within: float) -> None:
        if self._closed:
            raise SchedulerClosed(because)


class SchedulerClosed(Exception):
    """The run has ended; the message is the reason of the interrupted wait."""


def drive_and_store(scenario: Scenario, scheduled: ScheduledScenario) -> None:
    """Drive a scenario, and store its evidence in it, or the exception that its fixture must raise."""
    assert scheduled.drive is not None  # noqa: S101 - only such scenarios are prefetched
    with ThreadPoolExecutor(max_workers=1) as driving:
        scenario.prefetched = driving.submit(scheduled.drive, scenario)

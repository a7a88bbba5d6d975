"""Two lanes: while one scenario is driven another may be, in namespaces that the first does not use.

The first lane is pytest's own thread, which goes through the scenarios in their order. The second begins at
the far end and drives scenarios ahead of their tests; when the first comes to one of these its evidence is
there, and only has to be judged.
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
    """A scenario in one set of versions, which are None where a run speaks one set alone.

    ``drive`` is None where its tests do all that is done.
    """

    mark: ScenarioMark
    versions: VersionSet | None = None
    drive: Drive | None = None

    @property
    def parts(self) -> frozenset[str]:
        """The parts of the arena in which it changes something.

        Outside the mesh that is only what has no other part: for all others, whoever is there answers.
        """
        return frozenset(self.mark.arena) - {OUTSIDE} or frozenset(self.mark.arena)

    def can_run_alongside(self, other: ScheduledScenario) -> bool:
        """Whether both can be under way at the same time."""
        return not (self.mark.alone or other.mark.alone or self.parts & other.parts)


@dataclass(frozen=True, slots=True)
class PrefetchedScenario:
    """A scenario that was driven ahead of its tests, and the seconds that it took."""

    scenario: Scenario
    seconds: float


class ScenarioScheduler:
    """Which scenario is whose. ``drive`` drives one for the second lane; what it gets ends it as it waits.

    Where ``drive`` returns None the machine is too slow for two: that scenario is left to the first lane, and
    so are all that follow. ``may_begin`` says of a scenario whether the second lane may take it yet.
    """

    def __init__(
        self,
        schedule: Sequence[ScheduledScenario],
        drive: Callable[[ScheduledScenario, OnWait], PrefetchedScenario | None],
        may_begin: Callable[[ScheduledScenario], bool] = lambda scheduled: True,
    ) -> None:
        self._schedule = tuple(schedule)
        self._may_begin = may_begin
        self._waiting = list(schedule)
        self._drive = drive
        self._ahead: dict[ScheduledScenario, PrefetchedScenario] = {}
        self._first: ScheduledScenario | None = None
        self._second: ScheduledScenario | None = None
        self._halted = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._second_lane, name="second lane", daemon=True)

    def start(self) -> None:
        """Open the second lane."""
        self._thread.start()

    def claim(self, scheduled: ScheduledScenario) -> PrefetchedScenario | None:
        """The first lane has come to a scenario: it was driven ahead, or is now this lane's to drive.

        Waits while the second lane is in its way. What is None is driven by the caller, who says so with
        `release` when it is over.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._second is not scheduled)
            if scheduled not in self._waiting:
                return self._ahead.pop(scheduled)
            self._waiting.remove(scheduled)
            # From here on the second lane takes nothing that would be in the way.
            self._first = scheduled
            self._changed.wait_for(lambda: self._second is None or self._second.can_run_alongside(scheduled))
        return None

    def release(self, *, halt: bool = False) -> None:
        """What the first lane drove is over; after ``halt`` it goes on alone."""
        with self._changed:
            self._first = None
            self._halted |= halt
            self._changed.notify_all()

    def close(self) -> None:
        """Have the second lane end; what it waits for is given up."""
        self._closed = True
        self.release(halt=True)
        if self._thread.is_alive():
            self._thread.join(_ENDS_WITHIN_S)

    def following(self, lane: Lane) -> list[ScheduledScenario]:
        """What a lane will probably come to next; nothing where it is at its end."""
        with self._changed:
            following = self._pick() if lane == "second" else next(iter(self._waiting), None)
        return [following] if following else []

    def unfinished(self) -> list[ScheduledScenario]:
        """What is under way in either lane, and what is still to come."""
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
                and self._may_begin(scheduled)
            ),
            None,
        )

    def _take(self) -> ScheduledScenario | None:
        with self._changed:
            self._changed.wait_for(lambda: self._halted or not self._waiting or self._pick() is not None)
            self._second = None if self._halted else self._pick()
            if self._second is not None:
                self._waiting.remove(self._second)
            return self._second

    def _second_lane(self) -> None:
        while (scheduled := self._take()) is not None:
            ahead = None
            try:
                ahead = self._drive(scheduled, self._go_on)
            finally:
                self._bring(scheduled, ahead)

    def _bring(self, scheduled: ScheduledScenario, ahead: PrefetchedScenario | None) -> None:
        with self._changed:
            self._second = None
            if ahead is not None:
                self._ahead[scheduled] = ahead
            else:
                self._halted = True
                self._waiting = [one for one in self._schedule if one in self._waiting or one is scheduled]
            self._changed.notify_all()

    def _go_on(self, because: str, elapsed: float, within: float) -> None:
        if self._closed:
            raise SchedulerClosed(because)


class SchedulerClosed(Exception):
    """The run has ended; what is told is what was waited for."""


def drive_and_store(scenario: Scenario, scheduled: ScheduledScenario) -> None:
    """Drive a scenario, and keep in it what came of that: evidence, or what its fixture is to raise."""
    assert scheduled.drive is not None  # noqa: S101 - nothing else is driven ahead
    with ThreadPoolExecutor(max_workers=1) as driving:
        scenario.prefetched = driving.submit(scheduled.drive, scenario)

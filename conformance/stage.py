"""The arena as scenarios take turns on it: what they need is there, and what they applied is withdrawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from conformance import judge
from conformance.clusters import ClusterError
from conformance.drive.phases import Phases
from conformance.drive.scenario import Scenario
from conformance.drive.traffic import Driver
from conformance.drive.wait import OnWait, Waiter
from conformance.evidence import Environment
from conformance.lanes import Ahead, Lane, Lanes, Turn, bring
from conformance.record import Inconclusive
from conformance.report.document import Finding
from conformance.session import Session


class Stage:
    """Where a run's scenarios are driven, one after the other or, once opened, in two lanes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lanes: Lanes | None = None
        self._leftover = ""
        self._abandoned = False
        self._ahead_s = 0.0

    def open(self, turns: Sequence[Turn], *, lanes: int) -> None:
        """Have the services of scenarios come and go with them; with two ``lanes`` drive some ahead."""
        self._lanes = Lanes(turns, self._drive_ahead)
        self._session.provide([turns[0].mark.folder])
        if lanes > 1:
            self._lanes.start()

    def close(self) -> None:
        """Drive nothing more ahead."""
        if self._lanes is not None:
            self._lanes.close()

    def abandon(self) -> None:
        """Withdraw nothing more: whoever ends the run leaves the arena behind, and what was applied in it."""
        self._abandoned = True

    @contextmanager
    def scenario(self, turn: Turn) -> Iterator[Scenario]:
        """The scenario whose turn it is; what was driven ahead brings what came of it, and is over.

        Raises Inconclusive when what an earlier scenario applied is still there.
        """
        session = self._session
        with session.phases.phase("waiting"):
            ahead = self._lanes.claim(turn) if self._lanes else None
        if ahead is not None:
            self._ahead_s = ahead.seconds
            yield ahead.scenario
            return
        # Starved once is not starved for good: only what happens under this scenario counts for it.
        session.driver.environment = Environment()
        try:
            with self._under_way("first", turn, session.driver, session.waiter) as one:
                yield one
        finally:
            if self._lanes is not None:
                self._lanes.release(halt=judge.starved(session.driver.environment))

    def ahead_s(self) -> float:
        """The seconds that driving ahead took, told once: to the first test of the scenario."""
        told, self._ahead_s = self._ahead_s, 0.0
        return told

    def _drive_ahead(self, turn: Turn, on_wait: OnWait) -> Ahead | None:
        """Drive a scenario in the second lane; None where it is left to the first.

        That is where the machine turned out to be too slow for two, and where it could not be begun or ended.
        """
        session = self._session
        driver = replace(session.driver, phases=Phases(session.clock), environment=Environment())
        try:
            with self._under_way("second", turn, driver, Waiter(session.clock, on_wait)) as one:
                bring(one, turn)
        except (ClusterError, Inconclusive):
            return None
        return None if judge.starved(driver.environment) else Ahead(one, driver.phases.total())

    @contextmanager
    def _under_way(self, lane: Lane, turn: Turn, driver: Driver, waiter: Waiter) -> Iterator[Scenario]:
        if self._leftover:
            raise Inconclusive(self._leftover)
        session, mark = self._session, turn.mark
        with driver.phases.phase("setup"):
            session.arena.ready(mark.arena)
            if self._lanes is not None:
                # One scenario ahead, so that the cluster has taken its services up when they are used.
                soon = [turn, *self._lanes.following(lane)]
                session.provide(_folders(soon), kept=_folders(self._lanes.unfinished()))
        spoken = turn.versions or next(iter(session.version_sets(mark.groups)), {})
        one = session.scenario(mark.folder, spoken, driver=driver, waiter=waiter)
        try:
            yield one
        finally:
            with driver.phases.phase("cleanup"):
                self._withdraw(one)

    def _withdraw(self, scenario: Scenario) -> None:
        if self._abandoned:
            return
        try:
            scenario.withdraw()
        except ClusterError as error:
            self._leftover = f"what {scenario.folder} applied could not be withdrawn: {error}"
            remedy = "nothing after it was judged; run again"
            self._session.findings.append(Finding(severity="error", text=self._leftover, remedy=remedy))


def _folders(turns: Iterable[Turn]) -> set[str]:
    return {one.mark.folder for one in turns}

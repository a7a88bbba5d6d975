"""Runs scenarios on the arena: creates what they need, and deletes what they applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from conformance import judge
from conformance.catalogue import foundations
from conformance.clusters import ClusterError
from conformance.drive.recovery import FOLDERS, PARTS, RECOVERS_WITHIN_S, RecoveryCheck
from conformance.drive.scenario import Scenario
from conformance.drive.timing import Phases
from conformance.drive.traffic import Driver
from conformance.drive.wait import OnWait, Waiter
from conformance.model.evidence import Convergence, Environment
from conformance.model.verdict import Concluded, Inconclusive, Verdict
from conformance.report.document import Finding
from conformance.run.context import RunContext
from conformance.run.results import RunResults
from conformance.run.scheduler import (
    Lane,
    PrefetchedScenario,
    ScenarioScheduler,
    ScheduledScenario,
    SchedulerClosed,
    drive_and_store,
)

BASICS = {"split": foundations.SPLIT, "grant": foundations.GRANT}
"""Recovery check → the basic requirement without which its object has no visible effect."""


class ScenarioRunner:
    """Runs a run's scenarios one after the other or, once opened, in two lanes."""

    def __init__(self, context: RunContext, results: RunResults) -> None:
        self._context, self._results = context, results
        self._lanes: ScenarioScheduler | None = None
        self._leftover = ""
        self._abandoned = False
        self._prefetch_s = 0.0
        self._basics: frozenset[str] = frozenset()
        self._checks = [RecoveryCheck("split"), RecoveryCheck("grant")]
        self._stopped = ""

    def open(self, schedule: Sequence[ScheduledScenario], *, lanes: int, basics: Iterable[str] = ()) -> None:
        """Create and delete the Services of scenarios with them; with two ``lanes``, prefetch scenarios.

        ``basics`` are the basic requirements that the run judges: scenarios that stand on them come later.
        """
        self._basics = frozenset(basics)
        self._lanes = ScenarioScheduler(schedule, self._prefetch, self._may_start)
        self._context.create_services([schedule[0].mark.folder])
        if lanes > 1:
            self._lanes.start()

    def _may_start(self, scheduled: ScheduledScenario) -> bool:
        """Whether all basic requirements that a scenario stands on have been judged, and hold."""
        awaited = self._basics.difference(self._results.conclusions)
        return (
            awaited.isdisjoint(self._context.stands_on(scheduled.mark))
            and self._results.unfounded(self._context, scheduled.mark) is None
        )

    def close(self) -> None:
        """Prefetch no more scenarios."""
        if self._lanes is not None:
            self._lanes.close()

    def abandon(self) -> None:
        """Delete nothing more: the user ends the run and leaves its arena behind."""
        self._abandoned = True

    @contextmanager
    def scenario(self, scheduled: ScheduledScenario) -> Iterator[Scenario]:
        """The scenario of the current tests; a prefetched one has its evidence and is over.

        Raises Inconclusive if objects of an earlier scenario still exist or have stopped the mesh, and
        Concluded if a requirement that the scenario stands on failed.
        """
        context = self._context
        with context.phases.phase("waiting"):
            prefetched = self._lanes.claim(scheduled) if self._lanes else None
        if prefetched is not None:
            self._prefetch_s = prefetched.seconds
            yield prefetched.scenario
            return
        if (unfounded := self._results.unfounded(context, scheduled.mark)) is not None:
            if self._lanes is not None:
                self._lanes.release()
            raise Concluded(unfounded)
        # Starvation counts only for the scenario during which it happened.
        context.driver.environment = Environment()
        try:
            with self._under_way("first", scheduled, context.driver, context.waiter) as one:
                yield one
        finally:
            if self._lanes is not None:
                self._lanes.release(halt=judge.starved(context.driver.environment))

    def take_prefetch_seconds(self) -> float:
        """The seconds of the prefetch, for the first test of the scenario; 0 for the others."""
        taken, self._prefetch_s = self._prefetch_s, 0.0
        return taken

    def _prefetch(self, scheduled: ScheduledScenario, on_wait: OnWait) -> PrefetchedScenario | None:
        """Drive a scenario in the second lane; None leaves it to the first.

        None if the machine was too slow for two lanes, or if the scenario could not be started or ended.
        """
        context = self._context
        driver = replace(context.driver, phases=Phases(context.clock), environment=Environment())
        try:
            with self._under_way("second", scheduled, driver, Waiter(context.clock, on_wait)) as one:
                drive_and_store(one, scheduled)
        except (ClusterError, Inconclusive, SchedulerClosed):
            return None
        return None if judge.starved(driver.environment) else PrefetchedScenario(one, driver.phases.total())

    @contextmanager
    def _under_way(
        self, lane: Lane, scheduled: ScheduledScenario, driver: Driver, waiter: Waiter
    ) -> Iterator[Scenario]:
        if self._leftover:
            raise Inconclusive(self._leftover)
        context, mark = self._context, scheduled.mark
        if self._stopped and not self._recovered(driver, waiter):
            raise Inconclusive(self._stopped)
        with driver.phases.phase("setup"):
            context.arena.wait_ready(mark.arena)
            if self._lanes is not None:
                # One scenario ahead, so that the cluster knows its Services when they are used.
                soon = [scheduled, *self._lanes.following(lane)]
                context.create_services(_folders(soon), kept=_folders(self._lanes.unfinished()))
        spoken = scheduled.versions or next(iter(context.version_sets(mark.groups)), {})
        one = context.scenario(mark.folder, spoken, driver=driver, waiter=waiter)
        try:
            yield one
        finally:
            with driver.phases.phase("cleanup"):
                self._withdraw(one)
            # A change that took effect shows a running mesh; the others may have stopped it.
            if (mark.alone or one.unsettled) and not (self._leftover or self._abandoned):
                self._await_recovery(one, scheduled)

    def _await_recovery(self, scenario: Scenario, scheduled: ScheduledScenario) -> None:
        """Wait, at the end of a scenario, until the mesh takes changes again.

        A recovery that exceeds the time of the profile is a finding about the scenario's objects.
        """
        within_s = self._context.profile.converge.within_s
        for check in self._checks:
            if PARTS[check.kind] not in scheduled.mark.arena or not self._holds(BASICS[check.kind]):
                continue
            own = self._check_scenario(check, scenario.driver, scenario.waiter)
            if check.look(own, within_s).converged:
                continue
            self._record_outage(scenario, within_s, check.look(own, RECOVERS_WITHIN_S))

    def _record_outage(self, scenario: Scenario, within_s: float, later: Convergence) -> None:
        about = f"{scenario.folder} ({', '.join(dict.fromkeys(scenario.touched))})"
        if later.took_s is None:
            self._stopped = f"the mesh has taken no change since {about} was driven"
            remedy = "restart the mesh's control plane; its log may show what stopped it"
            self._results.findings.append(Finding(severity="error", text=self._stopped, remedy=remedy))
            return
        text = f"the mesh took no change for {within_s + later.took_s:.0f} s after {about} ended"
        remedy = "an object that a mesh cannot read must not stop it; see the log of its control plane"
        self._results.findings.append(Finding(severity="warning", text=text, remedy=remedy))

    def _recovered(self, driver: Driver, waiter: Waiter) -> bool:
        """Whether a mesh that had stopped takes changes now, by one look at each pending check."""
        waiting = [check for check in self._checks if check.waits]
        looks = [check.look(self._check_scenario(check, driver, waiter), 0.0) for check in waiting]
        if all(look.converged for look in looks):
            self._stopped = ""
        return not self._stopped

    def _check_scenario(self, check: RecoveryCheck, driver: Driver, waiter: Waiter) -> Scenario:
        return self._context.scenario(FOLDERS[check.kind], driver=driver, waiter=waiter)

    def _holds(self, basic: str) -> bool:
        found = self._results.conclusions.get(basic, ())
        return any(one.verdict is Verdict.PASS for one in found)

    def _withdraw(self, scenario: Scenario) -> None:
        if self._abandoned:
            return
        try:
            scenario.delete_applied()
        except ClusterError as error:
            self._leftover = f"the objects of {scenario.folder} could not be deleted: {error}"
            remedy = "no later scenario was judged; run again"
            self._results.findings.append(Finding(severity="error", text=self._leftover, remedy=remedy))


def _folders(schedule: Iterable[ScheduledScenario]) -> set[str]:
    return {one.mark.folder for one in schedule}

"""The arena as scenarios take turns on it: what they need is there, and what they applied is withdrawn."""

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
    drive_and_store,
)

BASICS = {"split": foundations.SPLIT, "grant": foundations.GRANT}
"""The basic requirement that shows that the plain object of a check can be seen at all."""


class ScenarioRunner:
    """Where a run's scenarios are driven, one after the other or, once opened, in two lanes."""

    def __init__(self, context: RunContext, results: RunResults) -> None:
        self._context, self._results = context, results
        self._lanes: ScenarioScheduler | None = None
        self._leftover = ""
        self._abandoned = False
        self._ahead_s = 0.0
        self._basics: frozenset[str] = frozenset()
        self._checks = [RecoveryCheck("split"), RecoveryCheck("grant")]
        self._stopped = ""

    def open(self, schedule: Sequence[ScheduledScenario], *, lanes: int, basics: Iterable[str] = ()) -> None:
        """Have the services of scenarios come and go with them; with two ``lanes`` drive some ahead.

        ``basics`` are the basic requirements that the run judges: what stands on them is not driven before.
        """
        self._basics = frozenset(basics)
        self._lanes = ScenarioScheduler(schedule, self._drive_ahead, self._may_begin)
        self._context.create_services([schedule[0].mark.folder])
        if lanes > 1:
            self._lanes.start()

    def _may_begin(self, scheduled: ScheduledScenario) -> bool:
        """Whether all that a scenario stands on has been judged, and holds: what failed is not driven on."""
        awaited = self._basics.difference(self._results.conclusions)
        return (
            awaited.isdisjoint(self._context.stands_on(scheduled.mark))
            and self._results.unfounded(self._context, scheduled.mark) is None
        )

    def close(self) -> None:
        """Drive nothing more ahead."""
        if self._lanes is not None:
            self._lanes.close()

    def abandon(self) -> None:
        """Withdraw nothing more: whoever ends the run leaves the arena behind, and what was applied in it."""
        self._abandoned = True

    @contextmanager
    def scenario(self, scheduled: ScheduledScenario) -> Iterator[Scenario]:
        """The scenario whose turn it is; what was driven ahead brings what came of it, and is over.

        Raises Inconclusive when what an earlier scenario applied is still there, or has stopped the mesh, and
        Concluded where something that the scenario stands on failed.
        """
        context = self._context
        with context.phases.phase("waiting"):
            ahead = self._lanes.claim(scheduled) if self._lanes else None
        if ahead is not None:
            self._ahead_s = ahead.seconds
            yield ahead.scenario
            return
        if (unfounded := self._results.unfounded(context, scheduled.mark)) is not None:
            if self._lanes is not None:
                self._lanes.release()
            raise Concluded(unfounded)
        # Starved once is not starved for good: only what happens under this scenario counts for it.
        context.driver.environment = Environment()
        try:
            with self._under_way("first", scheduled, context.driver, context.waiter) as one:
                yield one
        finally:
            if self._lanes is not None:
                self._lanes.release(halt=judge.starved(context.driver.environment))

    def take_prefetch_seconds(self) -> float:
        """The seconds that driving ahead took, told once: to the first test of the scenario."""
        told, self._ahead_s = self._ahead_s, 0.0
        return told

    def _drive_ahead(self, scheduled: ScheduledScenario, on_wait: OnWait) -> PrefetchedScenario | None:
        """Drive a scenario in the second lane; None where it is left to the first.

        That is where the machine turned out to be too slow for two, and where it could not be begun or ended.
        """
        context = self._context
        driver = replace(context.driver, phases=Phases(context.clock), environment=Environment())
        try:
            with self._under_way("second", scheduled, driver, Waiter(context.clock, on_wait)) as one:
                drive_and_store(one, scheduled)
        except (ClusterError, Inconclusive):
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
                # One scenario ahead, so that the cluster has taken its services up when they are used.
                soon = [scheduled, *self._lanes.following(lane)]
                context.create_services(_folders(soon), kept=_folders(self._lanes.unfinished()))
        spoken = scheduled.versions or next(iter(context.version_sets(mark.groups)), {})
        one = context.scenario(mark.folder, spoken, driver=driver, waiter=waiter)
        try:
            yield one
        finally:
            with driver.phases.phase("cleanup"):
                self._withdraw(one)
            # A change that came shows that the mesh took it; only what may have stopped it is looked after.
            if (mark.alone or one.unsettled) and not (self._leftover or self._abandoned):
                self._look_after(one, scheduled)

    def _look_after(self, scenario: Scenario, scheduled: ScheduledScenario) -> None:
        """See that the mesh takes changes again once a scenario is over; what follows waits for that.

        Where it does not in the time that the profile allows, that is a finding about the scenario's objects.
        """
        within_s = self._context.profile.converge.within_s
        for check in self._checks:
            if PARTS[check.kind] not in scheduled.mark.arena or not self._holds(BASICS[check.kind]):
                continue
            own = self._check_scenario(check, scenario.driver, scenario.waiter)
            if check.look(own, within_s).converged:
                continue
            self._tell(scenario, within_s, check.look(own, RECOVERS_WITHIN_S))

    def _tell(self, scenario: Scenario, within_s: float, later: Convergence) -> None:
        about = f"{scenario.folder} ({', '.join(dict.fromkeys(scenario.touched))})"
        if later.took_s is None:
            self._stopped = f"the mesh takes no changes any more since {about} was driven"
            remedy = "restart the mesh's control plane; its log may say what stopped it"
            self._results.findings.append(Finding(severity="error", text=self._stopped, remedy=remedy))
            return
        text = f"the mesh took no change for {within_s + later.took_s:.0f} s after {about} was over"
        remedy = "an object that a mesh cannot read must not stop it; see the log of its control plane"
        self._results.findings.append(Finding(severity="warning", text=text, remedy=remedy))

    def _recovered(self, driver: Driver, waiter: Waiter) -> bool:
        """Whether a mesh that had stopped takes changes now: one look at the checks that are out."""
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
            self._leftover = f"what {scenario.folder} applied could not be withdrawn: {error}"
            remedy = "nothing after it was judged; run again"
            self._results.findings.append(Finding(severity="error", text=self._leftover, remedy=remedy))


def _folders(schedule: Iterable[ScheduledScenario]) -> set[str]:
    return {one.mark.folder for one in schedule}

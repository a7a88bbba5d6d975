"""Waiting until a change shows, while clients call and, where a mesh needs it, while they rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from conformance.drive.scenario.base import ScenarioBase
from conformance.drive.wait import NotSeen
from conformance.model.evidence import Convergence

LOOK_AGAIN_S = 2.0
"""The time of the last poll after a rest; a change that needs the rest shows at the first poll after it."""


class _NothingMore(Exception):
    """The mesh is idle, so the awaited change cannot arrive any more."""


class Waits(ScenarioBase):
    """The waits of a scenario; each returns its convergence, also where nothing showed in time."""

    __slots__ = ()

    def until(self, check: Callable[[], bool], what: str, *, within_s: float | None = None) -> Convergence:
        """Wait until ``check`` holds, by default for the time of the profile."""
        within = self.profile.converge.within_s if within_s is None else within_s
        try:
            with self.phases.phase("waiting"):
                _, took = self.waiter.until(check, within=within, because=what)
        except NotSeen:
            return Convergence(what, within, None)
        return _in_time(what, within, took)

    def wait_for_propagation(
        self, check: Callable[[], bool], what: str, *, may_rest: bool = True, discover: bool = True
    ) -> Convergence:
        """Wait until the mesh has acted on objects such that ``check`` holds.

        The wait ends early where the mesh is known to be idle, so ``check`` must depend on the mesh alone. A
        change that does not show in time is polled once more after a rest of the clients. ``may_rest`` is
        False where ``check`` looks at background traffic, which a rest would end. ``discover`` is False where
        another cause, which passes by itself, may hide the change: then clients rest only if the mesh is
        already known to need it.
        """
        within, start = self.profile.converge.within_s, self.waiter.clock.now()
        self._writes_before = self.rests.writes
        came = False

        def look() -> bool:
            nonlocal came
            # Ask before the poll: the poll may miss a change that arrives during it.
            idle = self.mesh_is_idle(self.waiter.clock.now() - start)
            came = check()
            if idle and not came:
                raise _NothingMore
            return came

        may_rest = may_rest and ((self._changed and discover) or self.rests.needed)
        rested_s = self._rest(what) if may_rest and self.rests.needed else 0.0
        try:
            convergence = self.until(look, what)
            # A change that came too late came under calls: it needed no rest.
            if not (convergence.converged or came or rested_s) and may_rest and self.rests.worth_trying:
                rested_s = self._rest(what)
                convergence = self.until(check, what, within_s=LOOK_AGAIN_S)
                if self._alone:
                    self.rests.record_rest(converged=convergence.converged)
        except _NothingMore:
            convergence = Convergence(what, within, None)
        self.unsettled |= self._changed and not convergence.converged
        if not convergence.converged or not rested_s:
            return replace(convergence, within_s=within, rested_s=rested_s)
        took_s = round(self.waiter.clock.now() - start, 3)
        return self._after_rest(Convergence(what, within, took_s, rested_s))

    @property
    def _alone(self) -> bool:
        """Whether no scenario has written anything since the last wait began."""
        return self.rests.writes == self._writes_before

    def _after_rest(self, convergence: Convergence) -> Convergence:
        if self._alone:
            self.rested.append(convergence)
        return convergence

    def _rest(self, what: str) -> float:
        """Have the clients rest; returns the seconds."""
        with self.phases.phase("waiting"):
            self.waiter.rest(self.rests.quiet_s, because=f"clients rest: {what}")
        return self.rests.quiet_s

    def _each(
        self, whole: Convergence, what: Iterable[str], since: Iterable[float | None]
    ) -> list[Convergence]:
        """The convergences of the parts of one wait; ``since`` are the seconds after which each showed."""
        parts = [
            _in_time(words, whole.within_s, took_s, whole.rested_s)
            for words, took_s in zip(what, since, strict=True)
        ]
        if not whole.converged:
            for part in parts:
                if self._alone and part.converged and part.rested_s and (part.took_s or 0.0) > whole.within_s:
                    self.rests.record_rest(converged=True)
                    self._after_rest(part)
        return parts


def _in_time(what: str, within_s: float, took_s: float | None, rested_s: float = 0.0) -> Convergence:
    """The convergence of a change that showed after ``took_s`` seconds, if that was in time.

    The last poll may end after ``within_s``: a change that it shows came too late. After a rest a change
    shows at the first poll, whenever that is.
    """
    if took_s is None or (took_s > within_s and not rested_s):
        return Convergence(what, within_s, None)
    return Convergence(what, within_s, round(took_s, 3), rested_s)

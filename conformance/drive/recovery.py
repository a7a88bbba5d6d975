"""Recovery: plain objects whose effect shows that the mesh takes changes again.

The objects of an earlier scenario may have stopped a mesh, which may take a while to recover after their
deletion. A scenario driven meanwhile would be judged by the state of another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from conformance.drive.scenario import POLL_FRESH, SMALL_POLL_REQUESTS, Scenario
from conformance.drive.traffic import SendOptions
from conformance.model.evidence import Call, Convergence

RECOVERS_WITHIN_S = 60.0
"""Seconds in which a stopped mesh may recover, beyond the profile's time for a change."""

Kind = Literal["split", "grant"]
FOLDERS: dict[Kind, str] = {"split": "recovery/split", "grant": "recovery/grant"}
PARTS: dict[Kind, str] = {"split": "main", "grant": "access"}
"""The part of the arena in which each object is."""


@dataclass(slots=True)
class RecoveryCheck:
    """One plain object of a run. Its states alternate, so that an earlier state is not taken for the new one.

    ``waits``: the state that is applied but has not taken effect yet, or empty.
    """

    kind: Kind
    waits: str = ""
    provided: bool = False
    _turns: Iterator[str] = field(default_factory=lambda: itertools.cycle("ab"))

    def look(self, scenario: Scenario, within_s: float) -> Convergence:
        """Apply the object, unless it is still applied since an earlier look, and wait for its effect.

        ``scenario`` must have the object's own folder. The object is deleted after it took effect.
        """
        if self.kind == "split" and not self.provided:
            scenario.create_services()
            self.provided = True
        if not self.waits:
            self.waits = next(self._turns)
            scenario.apply(f"{self.waits}.yaml")
        what = f"a plain {self.kind} takes effect"
        convergence = scenario.until(self._check(scenario), what, within_s=within_s)
        if convergence.converged:
            scenario.delete(f"{self.waits}.yaml")
            self.waits = ""
        return convergence

    def _check(self, scenario: Scenario) -> Callable[[], bool]:
        call, server, options = _expected(scenario, self.kind, self.waits)

        def sent() -> bool:
            (traffic,) = scenario.driver.send([call], options)
            return traffic.answered == {server: traffic.sent}

        return sent


def _expected(scenario: Scenario, kind: Kind, state: str) -> tuple[Call, str, SendOptions]:
    """The call, the responder of all its requests while the object is in force, and the send options."""
    if kind == "split":
        call = scenario.call("main/client", "main/recovery", requests=SMALL_POLL_REQUESTS)
        return call, {"a": "v2", "b": "v3"}[state], POLL_FRESH
    call = scenario.call("access/alpha", "access/server", path=f"/recovery-{state}")
    return replace(call, requests=2), "server", SendOptions(new_connections=True)

"""Recovery: plain objects whose effect shows that the mesh takes changes again.

What an earlier scenario applied may have stopped a mesh, and it may take a while to recover once that is
deleted. What is driven meanwhile would be judged by a state that is not its own.
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
"""How long a mesh that stopped is waited for, beyond the time that its profile allows for a change."""

Kind = Literal["split", "grant"]
FOLDERS: dict[Kind, str] = {"split": "recovery/split", "grant": "recovery/grant"}
PARTS: dict[Kind, str] = {"split": "main", "grant": "access"}
"""The part of the arena in which each object is."""


@dataclass(slots=True)
class RecoveryCheck:
    """One plain object of a run. Its states alternate, so that no earlier one is taken for the new one.

    ``waits``: the object is applied, and its effect was not seen yet.
    """

    kind: Kind
    waits: str = ""
    provided: bool = False
    _turns: Iterator[str] = field(default_factory=lambda: itertools.cycle("ab"))

    def look(self, scenario: Scenario, within_s: float) -> Convergence:
        """Apply the object, unless it is there since an earlier look, and wait for its effect.

        ``scenario`` is one with the object's own folder. The object is deleted once it was seen in force.
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
    """What is sent, and who answers all of it when the object is in force."""
    if kind == "split":
        call = scenario.call("main/client", "main/recovery", requests=SMALL_POLL_REQUESTS)
        return call, {"a": "v2", "b": "v3"}[state], POLL_FRESH
    call = scenario.call("access/alpha", "access/server", path=f"/recovery-{state}")
    return replace(call, requests=2), "server", SendOptions(new_connections=True)

"""Rests: pauses of all client calls, without which some meshes never show a change.

Such a mesh adopts a change only after a Service has not been called for a while, so that polls prevent the
change that they wait for. That fails one requirement; all others are judged after a rest.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_USELESS_RESTS = 3
"""Rests without effect after which no more are tried: a mesh that needs rests needs them from the first."""
RESTS_TO_CONFIRM = 2
"""Changes that showed only after a rest, from which on clients rest first; the first may just be slow."""


@dataclass(slots=True)
class RestHistory:
    """The effects of rests so far, common to all scenarios of a run.

    ``helped`` counts the changes that showed after a rest of ``quiet_s`` seconds, but not under calls in the
    time that the profile allows; ``useless`` counts rests without effect. ``writes`` counts the writes of all
    scenarios: a change that shows after a write of another scenario may be due to that write.
    """

    quiet_s: float
    helped: int = 0
    useless: int = 0
    writes: int = 0

    @property
    def needed(self) -> bool:
        """Whether clients rest before their first poll."""
        return self.helped >= RESTS_TO_CONFIRM

    @property
    def worth_trying(self) -> bool:
        """Whether a rest may still help a change that did not show in time."""
        return self.helped > 0 or self.useless < MAX_USELESS_RESTS

    def record_write(self) -> None:
        """Record that objects were applied or deleted."""
        self.writes += 1

    def record_rest(self, *, converged: bool) -> None:
        """Record whether the awaited change showed after a rest."""
        self.helped += converged
        self.useless += not converged

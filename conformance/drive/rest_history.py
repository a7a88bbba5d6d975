"""Whether a mesh has to be left alone before a change shows.

Some meshes take a change up only when a service has not been called for a while. Polls then keep off what
they wait for. That is one finding, of one requirement; all others are judged after a rest.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_USELESS_RESTS = 3
"""Rests that brought nothing: no more are tried then, for a mesh that needs any needs them from the first."""
RESTS_TO_CONFIRM = 2
"""Changes that showed after a rest alone, from which on clients rest first: one may be of a slow mesh."""


@dataclass(slots=True)
class RestHistory:
    """What a run has seen of it so far; one for all scenarios of a run.

    ``helped`` counts the changes that showed after a rest of ``quiet_s`` seconds and had not shown under
    calls in all the time that the profile allows, ``useless`` rests after which no more was to be seen than
    before. ``writes`` counts those of all scenarios: a change that shows after another one wrote something
    may have come of that, and not of the rest.
    """

    quiet_s: float
    helped: int = 0
    useless: int = 0
    writes: int = 0

    @property
    def needed(self) -> bool:
        """Whether clients rest before they look at all."""
        return self.helped >= RESTS_TO_CONFIRM

    @property
    def worth_trying(self) -> bool:
        """Whether a rest may yet bring what did not show in time."""
        return self.helped > 0 or self.useless < MAX_USELESS_RESTS

    def record_write(self) -> None:
        """Take note that objects were applied or deleted."""
        self.writes += 1

    def record_rest(self, *, converged: bool) -> None:
        """Take note of what a rest brought."""
        self.helped += converged
        self.useless += not converged

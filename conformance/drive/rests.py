"""Whether a mesh has to be left alone before a change shows.

Some meshes take a change up only when a service has not been called for a while. Polls then keep off what
they wait for. That is one finding, of one requirement; all others are judged after a rest.
"""

from __future__ import annotations

from dataclasses import dataclass

ENOUGH_IN_VAIN = 3
"""Rests that brought nothing: no more are tried then, for a mesh that needs any needs them from the first."""
CERTAIN = 2
"""Changes that showed after a rest alone, from which on clients rest first: one may be of a slow mesh."""


@dataclass(slots=True)
class Rests:
    """What a run has seen of it so far; one for all scenarios of a run.

    ``brought`` counts the changes that showed after a rest of ``quiet_s`` seconds and had not shown under
    calls in all the time that the profile allows, ``in_vain`` rests after which no more was to be seen than
    before. ``writes`` counts those of all scenarios: a change that shows after another one wrote something
    may have come of that, and not of the rest.
    """

    quiet_s: float
    brought: int = 0
    in_vain: int = 0
    writes: int = 0

    @property
    def needed(self) -> bool:
        """Whether clients rest before they look at all."""
        return self.brought >= CERTAIN

    @property
    def worth_trying(self) -> bool:
        """Whether a rest may yet bring what did not show in time."""
        return self.brought > 0 or self.in_vain < ENOUGH_IN_VAIN

    def wrote(self) -> None:
        """Take note that objects were applied or deleted."""
        self.writes += 1

    def tell(self, *, converged: bool) -> None:
        """Take note of what a rest brought."""
        self.brought += converged
        self.in_vain += not converged

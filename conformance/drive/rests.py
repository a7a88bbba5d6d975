"""Whether a mesh has to be left alone before a change shows.

Some meshes take a change up only when a service has not been called for a while. Polls then keep off what
they wait for. That is one finding, of one requirement; all others are judged after a rest.
"""

from __future__ import annotations

from dataclasses import dataclass

ENOUGH_IN_VAIN = 3
"""Rests that brought nothing: no more are tried then, for a mesh that needs any needs them from the first."""


@dataclass(slots=True)
class Rests:
    """What a run has seen of it so far; one for all scenarios of a run.

    ``needed``: a change showed after a rest of ``quiet_s`` seconds that had not shown under calls in all the
    time that the profile allows. ``in_vain`` counts rests after which no more was to be seen than before.
    """

    quiet_s: float
    needed: bool = False
    in_vain: int = 0

    @property
    def worth_trying(self) -> bool:
        """Whether a rest may yet bring what did not show in time."""
        return self.needed or self.in_vain < ENOUGH_IN_VAIN

    def tell(self, *, settled: bool) -> None:
        """Take note of what a rest brought."""
        self.needed |= settled
        self.in_vain += not settled

"""The sound object beside those in question: edited to and fro, it shows whether a mesh takes changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conformance.clusters import Object
from conformance.drive.polling import classify_poll
from conformance.drive.scenario import AccessCheck, ExpectedResponders, Scenario
from conformance.model.evidence import Convergence

RECOVERS_WITHIN_S = 60.0
RECOVERS_WITHIN_TIMES = 5
"""How long a mesh that an object had stopped is waited for once that is deleted: so many seconds, or so many
times what the profile allows for a change, whichever is more. Real ones took up to 20 s, and start over with
pauses that grow to half a minute."""


@dataclass(slots=True)
class Sound:
    """A sound object with two states. ``shows`` waits until the one of that position is seen in traffic.

    It is in the first of them, which is seen, until it is edited. ``seen``: whether its last edit was.
    """

    scenario: Scenario
    states: tuple[Sequence[Object], Sequence[Object]]
    shows: Callable[[int], Convergence]
    now: int = 0
    seen: bool = True

    def edit(self) -> Convergence:
        """Bring it into the other state, and wait until that shows."""
        self.now = 1 - self.now
        self.scenario.apply_objects(self.states[self.now])
        return self.look()

    def look(self) -> Convergence:
        """Wait until its last edit shows."""
        found = self.shows(self.now)
        self.seen = found.converged
        return found

    def recover(self) -> Convergence:
        """Wait until the mesh takes changes: for a new edit, or the last one where that was not seen.

        That is still to come then, and another one would bring back what is there. Longer than the profile
        allows: what follows cannot be told before.
        """
        looks = iter([self.edit if self.seen else self.look])
        within = max(RECOVERS_WITHIN_S, RECOVERS_WITHIN_TIMES * self.scenario.profile.converge.within_s)
        return self.scenario.until(
            lambda: next(looks, self.look)().converged, "changes take effect again", within_s=within
        )


def of_split(
    scenario: Scenario,
    first: tuple[ExpectedResponders, str],
    then: tuple[ExpectedResponders, str],
    *,
    seen: bool,
) -> Sound:
    """One that shows by who answers; of each state what is to be seen, and the file that brings it about."""
    divisions = (first[0], then[0])

    def shows(state: int) -> Convergence:
        one = divisions[state]
        convergences, _ = scenario.wait_for_responders(
            [one.call],
            lambda _, traffic: classify_poll(traffic, only=one.responders, all_of=one.must_appear),
            [f"only {', '.join(sorted(one.responders))} answer"],
            discover=False,
        )
        return convergences[0]

    return Sound(scenario, _states(scenario, first[1], then[1]), shows, seen=seen)


def of_access(
    scenario: Scenario,
    first: tuple[Sequence[AccessCheck], str],
    then: tuple[Sequence[AccessCheck], str],
    *,
    seen: bool,
) -> Sound:
    """One that shows by what is granted; of each state the asks, and the file that brings it about."""
    asks = (first[0], then[0])

    def shows(state: int) -> Convergence:
        found = list(scenario.wait_for_access(asks[state], discover=False).values())
        late = [one for one in found if not one.converged]
        return late[0] if late else max(found, key=lambda one: one.took_s or 0.0)

    return Sound(scenario, _states(scenario, first[1], then[1]), shows, seen=seen)


def _states(scenario: Scenario, first: str, then: str) -> tuple[list[Object], list[Object]]:
    """What the second file edits, as it is in the first one and in the second."""
    edited: list[Object] = list(scenario.objects(then))
    named = [(one["kind"], one["metadata"]["name"]) for one in edited]
    former: list[Object] = [
        one for one in scenario.objects(first) if (one["kind"], one["metadata"]["name"]) in named
    ]
    return former, edited

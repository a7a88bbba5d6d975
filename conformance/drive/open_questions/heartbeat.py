"""A valid object beside those in question: its edits show whether the mesh still takes changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from conformance.clusters import Object
from conformance.drive.polling import classify_poll
from conformance.drive.scenario import AccessCheck, ExpectedResponders, Scenario
from conformance.model.evidence import Call, Convergence

RECOVERS_WITHIN_S = 60.0
RECOVERS_WITHIN_TIMES = 5
"""How long to wait for a mesh to recover once the object that stopped it is deleted: so many seconds, or so
many times what the profile allows for a change, whichever is more. Real meshes took up to 20 s, and retry at
intervals that grow to half a minute."""


@dataclass(slots=True)
class Heartbeat:
    """A valid object with two states. ``wait_for`` waits until the state of a position shows in traffic.

    ``current`` is the state applied last, the first unless edited; ``seen`` whether it has shown.
    """

    scenario: Scenario
    states: tuple[Sequence[Object], Sequence[Object]]
    wait_for: Callable[[int], Convergence]
    current: int = 0
    seen: bool = True

    def edit(self) -> Convergence:
        """Switch to the other state, and wait until it shows."""
        self.current = 1 - self.current
        self.scenario.apply_objects(self.states[self.current])
        return self.look()

    def look(self) -> Convergence:
        """Wait until the last edit shows."""
        found = self.wait_for(self.current)
        self.seen = found.converged
        return found

    def recover(self) -> Convergence:
        """Wait until the mesh takes changes, longer than the profile allows: later trials depend on it.

        If the last edit has not shown, wait for that: another edit would restore the state in force.
        """
        looks = iter([self.edit if self.seen else self.look])
        within = max(RECOVERS_WITHIN_S, RECOVERS_WITHIN_TIMES * self.scenario.profile.converge.within_s)
        return self.scenario.until(
            lambda: next(looks, self.look)().converged, "changes take effect again", within_s=within
        )


@dataclass(frozen=True, slots=True)
class SplitStates:
    """The two states of a valid split: by the only workload that answers ``call``, the state's file.

    ``unreachable_before``: the call is unanswered without the split.
    """

    call: Call
    files: Mapping[str, str]
    unreachable_before: bool = False

    def expected(self) -> list[ExpectedResponders]:
        """What each state must bring about."""
        return [
            ExpectedResponders(self.call, frozenset({server}), unreachable_before=self.unreachable_before)
            for server in self.files
        ]


@dataclass(frozen=True, slots=True)
class GrantStates:
    """The two states of valid grants: by the only path of ``server`` open to ``client``, the state's file."""

    client: str
    server: str
    files: Mapping[str, str]

    def checks(self, scenario: Scenario) -> list[list[AccessCheck]]:
        """What each state must grant, and then what it must not."""

        def check(path: str, *, granted: bool) -> AccessCheck:
            name = path.rpartition("/")[2]
            call = scenario.call(self.client, self.server, path=path)
            server = self.server.partition("/")[2]
            return AccessCheck(name, "granted" if granted else "denied", call, server)

        first, second = self.files
        return [
            [check(first, granted=True), check(second, granted=False)],
            [check(second, granted=True), check(first, granted=False)],
        ]


def of_split(scenario: Scenario, states: SplitStates, *, seen: bool) -> Heartbeat:
    """A heartbeat that shows in the workloads that answer."""
    expected = states.expected()

    def wait_for(state: int) -> Convergence:
        wanted = expected[state]
        convergences, _ = scenario.wait_for_responders(
            [wanted.call],
            lambda _, traffic: classify_poll(traffic, only=wanted.responders, all_of=wanted.must_appear),
            [f"only {', '.join(sorted(wanted.responders))} answer"],
            discover=False,
        )
        return convergences[0]

    return Heartbeat(scenario, _edited_objects(scenario, *states.files.values()), wait_for, seen=seen)


def of_grants(scenario: Scenario, states: GrantStates, *, seen: bool) -> Heartbeat:
    """A heartbeat that shows in the calls that are granted."""
    checks = states.checks(scenario)

    def wait_for(state: int) -> Convergence:
        found = list(scenario.wait_for_access(checks[state], discover=False).values())
        late = [one for one in found if not one.converged]
        return late[0] if late else max(found, key=lambda one: one.took_s or 0.0)

    return Heartbeat(scenario, _edited_objects(scenario, *states.files.values()), wait_for, seen=seen)


def _edited_objects(scenario: Scenario, first: str, then: str) -> tuple[list[Object], list[Object]]:
    """The objects of the second file, as in the first file and as in the second."""
    edited: list[Object] = list(scenario.objects(then))
    names = [(one["kind"], one["metadata"]["name"]) for one in edited]
    former: list[Object] = [
        one for one in scenario.objects(first) if (one["kind"], one["metadata"]["name"]) in names
    ]
    return former, edited

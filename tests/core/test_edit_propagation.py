"""Steady traffic over edits: which answers are known to belong to which, by what servers had seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from conformance.drive.edit_propagation import RATE_PER_S, SEEN, observe_edits
from conformance.drive.scenario import Scenario
from conformance.drive.traffic import Driver, SendOptions
from conformance.model.evidence import Call, Edit
from conformance.run.context import RunContext

from .virtual import VirtualClock

CALL = Call("main/client", "turning", 8080, 200)
SERVERS = ["main/v2", "main/v3"]
EDITS = [("to-v3.yaml", "v2", "v3"), ("to-v2.yaml", "v3", "v2")]


@dataclass
class Scripted:
    """A driver whose steady traffic has been seen by servers as often as the script says."""

    seen: list[dict[str, int]]
    started: list[tuple[Call, SendOptions]] = field(default_factory=list)
    rate_per_s: float = 0.0
    duration_s: float = 0.0

    def start(self, call: Call, options: SendOptions, *, rate_per_s: float, duration_s: float) -> Scripted:
        self.started.append((call, options))
        self.rate_per_s, self.duration_s = rate_per_s, duration_s
        return self

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None: ...

    def counts(self, servers: Iterable[str]) -> dict[str, int]:
        assert list(servers) == SERVERS
        return self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]

    def stop_with_order(self) -> tuple[tuple[tuple[str, int], ...], int]:
        return (("v2", 900), ("v3", 100)), 3


def counts(v2: int, v3: int) -> dict[str, int]:
    return {"v2": v2, "v3": v3}


@pytest.fixture
def scenario(context: RunContext) -> Scenario:
    context.arena.wait_ready(["main"])
    made = context.scenario("common/convergence")
    made.create_services()
    return made


def driven(scenario: Scenario, *seen: dict[str, int]) -> tuple[Any, Scripted]:
    script = Scripted(list(seen))
    scenario.driver = script  # type: ignore[assignment]
    return observe_edits(scenario, CALL, EDITS, SERVERS, SendOptions(new_connections=True)), script


def test_an_edit_reaches_from_what_was_seen_at_its_acceptance_to_the_next(scenario: Scenario) -> None:
    least = round(SEEN * RATE_PER_S * scenario.profile.converge.stable_s)
    found, script = driven(
        scenario,
        counts(100, 0),
        counts(110, least - 1),
        counts(110, least),
        counts(120, least + 2),
        counts(120 + least, least + 5),
    )
    assert found.edits == (
        Edit("v2", "v3", 101, 110 + least),
        Edit("v3", "v2", 123 + least, 125 + 2 * least),
    )
    assert (found.runs, found.unanswered) == ((("v2", 900), ("v3", 100)), 3)
    assert not found.cut_short
    # One request under way at a time: that is what makes the order of answers one in time.
    assert [(call.requests, options.new_connections) for call, options in script.started] == [(1, True)]


def test_the_rate_is_the_one_that_was_reached(scenario: Scenario, clock: VirtualClock) -> None:
    least, began = round(SEEN * RATE_PER_S * scenario.profile.converge.stable_s), clock.now()
    seen = [counts(1, each) for each in (0, 1, 1, least, least)]
    found, _ = driven(scenario, *seen, counts(least + 1, least))
    assert found.rate_per_s == round(1003 / (clock.now() - began), 1)


def test_slow_traffic_is_waited_for_when_the_mesh_has_nothing_more_to_do(
    scenario: Scenario, clock: VirtualClock
) -> None:
    least, began = round(SEEN * RATE_PER_S * scenario.profile.converge.stable_s), clock.now()
    scenario.mesh_is_idle = lambda _: True
    slow = [counts(0, count) for count in range(1, least, least // 20)]
    found, _ = driven(scenario, counts(0, 0), *slow, counts(0, least))
    assert found.edits[0] == Edit("v2", "v3", 1, least)
    assert clock.now() - began > scenario.profile.converge.within_s


def test_an_edit_that_is_not_seen_is_the_last(scenario: Scenario) -> None:
    found, _ = driven(scenario, counts(100, 0))
    assert found.edits == (Edit("v2", "v3", 101, 100),)
    assert found.cut_short


def test_an_edit_that_is_not_seen_for_long_enough_is_the_last(scenario: Scenario) -> None:
    found, _ = driven(scenario, counts(100, 0), counts(110, 20))
    assert found.edits == (Edit("v2", "v3", 101, 130),)
    assert found.cut_short


def test_it_lasts_until_the_last_of_the_edits_may_be_seen(scenario: Scenario) -> None:
    _, script = driven(scenario, counts(100, 0))
    assert script.duration_s > len(EDITS) * scenario.profile.converge.within_s


def test_answers_are_put_into_the_order_of_their_requests(
    context: RunContext, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        [2, 1, "v3", 8080, 200, 1, None],
        [0, 1, "v2", 8080, 200, 1, None],
        [3, 1, None, None, None, 1, "reset"],
    ]
    rows += [[1, 1, "v2", 8080, 200, 1, None], [4, 1, "v3", 8080, None, 1, "timeout"]]
    steady = context.driver.start(
        scenario.call("main/client", "main/turning"), rate_per_s=500.0, duration_s=1.0
    )
    totals = {steady.name: {"observations": 5, "complete": True}, "control": {"observations": 0}}
    lines = [
        {"batch": steady.name, "observations": rows},
        {"kind": "end", "complete": True, "batches": totals},
    ]
    monkeypatch.setattr(Driver, "_ctl", lambda *_, **__: lines)
    assert steady.stop_with_order() == ((("v2", 2), ("v3", 1)), 2)

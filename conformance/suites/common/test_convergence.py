"""The time until edits are in force, from steady traffic over several edits."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from conformance.suite import (
    Behaviour,
    Conclude,
    EditTimeline,
    Effect,
    ExpectedResponders,
    Scenario,
    SendOptions,
    TrialResult,
    drives_scenario,
    judge,
    observe_edits,
)

pytestmark = pytest.mark.scenario("common/convergence", arena=("main",), groups=("split",))

SERVERS = ["main/v1", "main/v2", "main/v3"]
TURNS = 5
"""Edits. They are in force when accepted only if no request after any of them meets the old state."""
TIME = "when an edit of a split is in force"
LOOKS = (
    Behaviour("a", propagation="later"),
    Behaviour("b", propagation="at once"),
    Behaviour("a", propagation="flapping", finding="the old state comes back after the new one had held"),
)


@dataclass(frozen=True)
class Turned:
    """The first state of the split, the steady traffic over its edits, and the last state."""

    made: Effect
    timeline: EditTimeline
    last: Effect


@drives_scenario
def turned(scenario: Scenario) -> Turned:
    scenario.create_services()
    call = scenario.call("main/client", "main/turning", requests=200)

    def division(server: str) -> ExpectedResponders:
        return ExpectedResponders(call, frozenset({server}))

    (made,) = scenario.apply_and_sample([division("v2")], "to-v2.yaml", servers=SERVERS)
    states = itertools.pairwise(itertools.islice(itertools.cycle(("v2", "v3")), TURNS + 1))
    edits = [(f"to-{new}.yaml", old, new) for old, new in states]
    # On new connections: a kept connection may rightly stay with its backend.
    during = observe_edits(scenario, call, edits, SERVERS, SendOptions(new_connections=True))
    (last,) = scenario.sample_once_converged([division("v3")], [made.sample], SERVERS)
    return Turned(made, during, last)


@pytest.mark.requirement("common-convergence-time")
def test_the_time_until_an_edit_is_in_force_follows_a_reading(turned: Turned, verdict: Conclude) -> None:
    effect = judge.everything_reaches(turned.made, "v2")
    last = judge.everything_reaches(turned.last, "v3")
    question = TrialResult("steady traffic", TIME, LOOKS, timeline=turned.timeline)
    verdict(judge.reading(effect, [question], last))

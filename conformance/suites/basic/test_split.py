"""The plainest split takes effect, and so does its edit: the basis of all traffic splitting tests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import Conclude, Effect, ExpectedResponders, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("basic/split", arena=("main",), groups=("split",))

SERVERS = ("main/v1", "main/v2", "main/v3")


@dataclass(frozen=True)
class Steps:
    made: Effect
    edited: Effect


@drives_scenario
def steps(scenario: Scenario) -> Steps:
    scenario.create_services()
    call = scenario.call("main/client", "main/plain", requests=200)
    (made,) = scenario.apply_and_sample(
        [ExpectedResponders(call, frozenset({"v2"}))], "1-split.yaml", servers=SERVERS
    )
    if not made.convergence.converged:
        # A split without effect needs no second wait.
        return Steps(made, made)
    scenario.apply("2-edited.yaml")
    (edited,) = scenario.sample_once_converged(
        [ExpectedResponders(call, frozenset({"v3"}))], [made.sample], SERVERS
    )
    return Steps(made, edited)


@pytest.mark.requirement("split-single-service-followed")
def test_all_requests_to_the_root_reach_the_only_backend(steps: Steps, verdict: Conclude) -> None:
    verdict(judge.everything_reaches(steps.made, "v2"))


@pytest.mark.requirement("common-dynamic-reconfiguration")
def test_an_edit_of_a_split_takes_effect(steps: Steps, verdict: Conclude) -> None:
    made = judge.everything_reaches(steps.made, "v2")
    edited = judge.everything_reaches(steps.edited, "v3")
    verdict(judge.conditional_on(made, edited, lacking="nothing was in force that could be edited"))

"""The plainest grant opens a closed server, and its edit takes effect: the basis of all access tests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("basic/grant", arena=("access",), groups=("access", "specs"))

SERVERS = ("access/server",)


@dataclass(frozen=True)
class Steps:
    made: AccessTable
    edited: AccessTable


@drives_scenario
def steps(scenario: Scenario) -> Steps:
    before_edit = scenario.request_checks({"/plain": GRANTED})
    after_edit = scenario.request_checks({"/edited": GRANTED})
    closed = scenario.baseline(after_edit, SERVERS)
    made = scenario.access(before_edit, "1-target.yaml", servers=SERVERS)
    if not made.results[0].convergence.converged:
        # A grant without effect needs no second wait.
        return Steps(made, made)
    edited = scenario.access(after_edit, "2-edited.yaml", servers=SERVERS, baseline=closed)
    return Steps(made, edited)


@pytest.mark.requirement("access-named-match-opens")
def test_a_target_with_a_named_match_opens_a_closed_server(steps: Steps, verdict: Conclude) -> None:
    verdict(judge.access_enforced(steps.made))


@pytest.mark.requirement("common-dynamic-reconfiguration")
def test_an_edit_of_a_route_group_takes_effect(steps: Steps, verdict: Conclude) -> None:
    made = judge.access_enforced(steps.made)
    edited = judge.access_enforced(steps.edited)
    verdict(judge.conditional_on(made, edited, lacking="nothing was in force that could be edited"))

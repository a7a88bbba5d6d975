"""The plainest grant opens a closed server, and its edit is followed; all of access stands on this."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("basic/grant", arena=("access",), groups=("access", "specs"))

SERVERS = ("access/server",)


@dataclass(frozen=True)
class Steps:
    made: AccessTable
    edited: AccessTable


@drives_scenario
def steps(scenario: Scenario) -> Steps:
    def ask(path: str) -> AccessCheck:
        return AccessCheck(
            path, "granted", scenario.call("access/alpha", "access/server", path=path), "server"
        )

    closed = scenario.baseline([ask("/edited")], SERVERS)
    made = scenario.access([ask("/plain")], "1-target.yaml", servers=SERVERS)
    if not made.results[0].convergence.converged:
        # What never took effect is not waited for twice.
        return Steps(made, made)
    edited = scenario.access([ask("/edited")], "2-edited.yaml", servers=SERVERS, baseline=closed)
    return Steps(made, edited)


@pytest.mark.requirement("access-named-match-opens")
def test_a_target_that_names_a_match_opens_a_closed_server(steps: Steps, verdict: Conclude) -> None:
    verdict(judge.access_enforced(steps.made))


@pytest.mark.requirement("common-dynamic-reconfiguration")
def test_an_edit_of_a_route_group_is_followed(steps: Steps, verdict: Conclude) -> None:
    made = judge.access_enforced(steps.made)
    edited = judge.access_enforced(steps.edited)
    verdict(judge.conditional_on(made, edited, lacking="nothing was in force that could be edited"))

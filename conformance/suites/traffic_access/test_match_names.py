"""A rule's match names pick matches of its group; without names all of them are granted."""

from __future__ import annotations

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("traffic-access/match-names", arena=("access",), groups=("access", "specs"))

SERVERS = ("access/server",)


@drives_scenario
def steps(scenario: Scenario) -> list[AccessTable]:
    named = scenario.request_checks({"/metrics": GRANTED, "/other": DENIED})
    subset = scenario.access(named, "1-subset.yaml", servers=SERVERS)
    every = scenario.request_checks({"/other": GRANTED})
    return [subset, scenario.access(every, "2-all.yaml", servers=SERVERS)]


@pytest.mark.requirement("access-match-subset")
def test_only_the_named_matches_are_granted(steps: list[AccessTable], verdict: Conclude) -> None:
    subset, _ = steps
    verdict(judge.access_enforced(subset))


@pytest.mark.requirement("access-matches-omitted-means-all")
def test_a_rule_without_match_names_grants_every_match(steps: list[AccessTable], verdict: Conclude) -> None:
    _, every = steps
    verdict(judge.access_enforced(every))

"""A listed source reaches the routes of the target's rules and no others."""

from __future__ import annotations

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("traffic-access/routes", arena=("access",), groups=("access", "specs"))

SERVERS = ("access/server",)


@drives_scenario
def routes(scenario: Scenario) -> AccessTable:
    checks = scenario.request_checks({"GET /metrics": GRANTED, "GET /admin": DENIED, "POST /metrics": DENIED})
    return scenario.access(checks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-deny-unlisted-route")
def test_a_listed_source_is_denied_on_other_routes(routes: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(routes))

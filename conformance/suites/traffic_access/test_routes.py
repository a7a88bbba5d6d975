"""A listed source reaches the routes of the target's rules and no other."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("traffic-access/routes", arena=("access",), groups=("access", "specs"))

SERVERS = ("access/server",)


@drives_scenario
def routes(scenario: Scenario) -> AccessTable:
    client, server = "access/alpha", "access/server"
    asks = [
        AccessCheck("GET /metrics", "granted", scenario.call(client, server, path="/metrics"), "server"),
        AccessCheck("GET /admin", "denied", scenario.call(client, server, path="/admin"), "server"),
        AccessCheck(
            "POST /metrics", "denied", scenario.call(client, server, path="/metrics", method="POST"), "server"
        ),
    ]
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-deny-unlisted-route")
def test_a_listed_source_is_denied_on_other_routes(routes: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(routes))

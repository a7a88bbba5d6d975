"""A target opens a server whose Service has a named target port."""

from __future__ import annotations

import pytest

from conformance.suite import AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/named-target-ports", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/beta", "outside/outsider")


@drives_scenario
def named(scenario: Scenario) -> AccessTable:
    scenario.create_services()
    checks = [
        scenario.access_check(
            "the listed account", "access/alpha", "access/by-name", granted=True, server="beta"
        ),
        scenario.access_check(
            "another account", "access/gamma", "access/by-name", granted=False, server="beta"
        ),
    ]
    return scenario.access(checks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("common-named-target-ports")
def test_a_target_opens_a_server_behind_a_named_target_port(named: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(named))

"""An account belongs to its namespace: the same name elsewhere is another account."""

from __future__ import annotations

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/namespaces", arena=("access", "peer", "main", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "outside/outsider")
EXPECTED = {"peer/peer": GRANTED, "access/alpha": DENIED, "main/client": DENIED}


@drives_scenario
def namespaces(scenario: Scenario) -> AccessTable:
    checks = [
        scenario.access_check(client, client, "access/server", granted=granted)
        for client, granted in EXPECTED.items()
    ]
    return scenario.access(checks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-identity-includes-namespace")
def test_only_the_account_of_the_listed_namespace_may_call(
    namespaces: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(namespaces))

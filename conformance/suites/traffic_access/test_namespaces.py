"""An account is one of its namespace: the same name elsewhere is somebody else."""

from __future__ import annotations

import pytest

from conformance.suite import AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/namespaces", arena=("access", "peer", "main", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "outside/outsider")
EXPECTED = {"peer/peer": "granted", "access/alpha": "denied", "main/client": "denied"}


@drives_scenario
def namespaces(scenario: Scenario) -> AccessTable:
    asks = [
        scenario.access_check(client, client, "access/server", granted=expect == "granted")
        for client, expect in EXPECTED.items()
    ]
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-identity-includes-namespace")
def test_only_the_account_of_the_listed_namespace_calls(namespaces: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(namespaces))

"""Targets add up: each source has the routes of its own targets, and a new target takes nothing away."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/union",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-only-listed-sources", "access-deny-unlisted-route"),
)

SERVERS = ("access/server",)


@drives_scenario
def union(scenario: Scenario) -> AccessTable:
    asks = [
        AccessCheck(
            f"{client} {path}",
            "granted" if (client, path) in {("alpha", "/metrics"), ("beta", "/api")} else "denied",
            scenario.call(f"access/{client}", "access/server", path=path),
            "server",
        )
        for client in ("alpha", "beta")
        for path in ("/metrics", "/api")
    ]
    baseline = scenario.baseline(asks, SERVERS)
    alone = [AccessCheck("alpha /metrics", "granted", asks[0].call, "server")]
    scenario.access(alone, "1-alpha.yaml", servers=SERVERS)
    return scenario.access(asks, "2-beta.yaml", servers=SERVERS, baseline=baseline)


@pytest.mark.requirement("access-additive-union")
def test_each_source_keeps_its_own_grant_and_gets_no_other(union: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(union))

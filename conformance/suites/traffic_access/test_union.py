"""Grants add up: each source has the routes of its own targets, and a new target takes none away."""

from __future__ import annotations

import pytest

from conformance.suite import AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/union",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-only-listed-sources", "access-deny-unlisted-route"),
)

SERVERS = ("access/server",)


@drives_scenario
def union(scenario: Scenario) -> AccessTable:
    granted = {("alpha", "/metrics"), ("beta", "/api")}
    checks = [
        scenario.access_check(
            f"{client} {path}",
            f"access/{client}",
            "access/server",
            granted=(client, path) in granted,
            control=False,
            path=path,
        )
        for client in ("alpha", "beta")
        for path in ("/metrics", "/api")
    ]
    baseline = scenario.baseline(checks, SERVERS)
    scenario.access(checks[:1], "1-alpha.yaml", servers=SERVERS)
    return scenario.access(checks, "2-beta.yaml", servers=SERVERS, baseline=baseline)


@pytest.mark.requirement("access-additive-union")
def test_grants_of_two_targets_add_up(union: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(union))

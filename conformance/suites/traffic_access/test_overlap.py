"""Targets with overlapping routes: each source has its own grant, whichever target is older."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/overlap",
    arena=("access", "outside"),
    groups=("access", "specs"),
    presumes=("access-additive-union", "access-only-listed-sources", "http-method-specific"),
)

WIDER_FIRST, NARROWER_FIRST, THE_SAME = "server", "other", "third"
SERVERS = (*(f"access/{name}" for name in (WIDER_FIRST, NARROWER_FIRST, THE_SAME)), "outside/outsider")
FIRST = {("alpha", WIDER_FIRST), ("beta", NARROWER_FIRST), ("alpha", THE_SAME)}
"""The grants that exist before the others: client and server."""


@drives_scenario
def overlap(scenario: Scenario) -> AccessTable:
    def check(client: str, server: str, method: str) -> AccessCheck:
        granted = server == THE_SAME or (client, method) != ("beta", "DELETE")
        return scenario.access_check(
            f"{client} {method} {server}",
            f"access/{client}",
            f"access/{server}",
            granted=granted,
            method=method,
        )

    checks = [
        check(client, server, method)
        for server in (WIDER_FIRST, NARROWER_FIRST, THE_SAME)
        for client in ("alpha", "beta")
        for method in ("GET", "DELETE")
    ]
    baseline = scenario.baseline(checks, SERVERS)
    # These are in force before the others exist, so they are older by any measure.
    alone = [one for one in checks if (one.call.client.rpartition("/")[2], one.server) in FIRST]
    scenario.access(alone, "1-first.yaml", servers=SERVERS)
    return scenario.access(checks, "2-second.yaml", servers=SERVERS, baseline=baseline)


@pytest.mark.requirement("access-additive-overlapping-routes")
def test_each_source_has_its_own_grant_where_routes_overlap(overlap: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(overlap))

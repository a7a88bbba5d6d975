"""Targets add up: each source has the routes of its own targets, and a new target takes nothing away."""

from __future__ import annotations

import pytest

from conformance.suite import AccessTable, Ask, Conclude, Scenario, driven, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/union",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-only-listed-sources", "access-deny-unlisted-route"),
)

SERVERS = ("access/server",)


@driven
def union(scenario: Scenario) -> AccessTable:
    asks = [
        Ask(
            f"{client} {path}",
            "granted" if (client, path) in {("alpha", "/metrics"), ("beta", "/api")} else "denied",
            scenario.call(f"access/{client}", "access/server", path=path),
            "server",
        )
        for client in ("alpha", "beta")
        for path in ("/metrics", "/api")
    ]
    before = scenario.before(asks, SERVERS)
    alone = [Ask("alpha /metrics", "granted", asks[0].call, "server")]
    scenario.access(alone, "1-alpha.yaml", servers=SERVERS)
    return scenario.access(asks, "2-beta.yaml", servers=SERVERS, before=before)


@pytest.mark.requirement("access-additive-union")
def test_each_source_keeps_its_own_grant_and_gets_no_other(union: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access(union))

"""Matches of a group are alternatives, each judged as a whole."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/alternatives",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route",),
)

SERVERS = ("access/server", "access/other")
EXPECTED = {"GET /a": "granted", "POST /b": "granted", "POST /a": "denied", "GET /b": "denied"}

ANYTHING = ("GET /m", "DELETE /elsewhere")
"""Granted at a server one of whose alternatives is everything."""


@drives_scenario
def alternatives(scenario: Scenario) -> AccessTable:
    asks = []
    for name, expect in EXPECTED.items():
        method, path = name.split()
        call = scenario.call("access/alpha", "access/server", method=method, path=path)
        asks.append(AccessCheck(name, "granted" if expect == "granted" else "denied", call, "server"))
    for name in ANYTHING:
        method, path = name.split()
        call = scenario.call("access/alpha", "access/other", method=method, path=path)
        asks.append(AccessCheck(f"{name} where anything goes", "granted", call, "other"))
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-matches-or")
def test_one_match_grants_by_itself_and_parts_of_two_grant_nothing(
    alternatives: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(alternatives))

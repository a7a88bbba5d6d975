"""The matches of a group are alternatives, and each applies as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/alternatives",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route",),
)

SERVERS = ("access/server", "access/other")
EXPECTED = {"GET /a": GRANTED, "POST /b": GRANTED, "POST /a": DENIED, "GET /b": DENIED}
ANYTHING = ("GET /m", "DELETE /elsewhere")
"""Granted at a server with a match for every request among the alternatives."""


@drives_scenario
def alternatives(scenario: Scenario) -> AccessTable:
    at_other = scenario.request_checks(dict.fromkeys(ANYTHING, GRANTED), "access/other")
    checks = [
        *scenario.request_checks(EXPECTED),
        *(replace(check, name=f"{check.name} where anything goes") for check in at_other),
    ]
    return scenario.access(checks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-matches-or")
def test_each_match_grants_by_itself_and_parts_of_two_grant_nothing(
    alternatives: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(alternatives))

"""A match grants its listed methods and no other; * grants every method."""

from __future__ import annotations

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/method",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route",),
)

SERVERS = ("access/server",)
SPECIFIC = {
    "GET /get": GRANTED,
    "HEAD /get": DENIED,
    "POST /get": DENIED,
    "PUT /get": DENIED,
    "DELETE /get": DENIED,
    "GET /read": GRANTED,
    "HEAD /read": GRANTED,
    "POST /read": DENIED,
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ANY = {f"{method} /any": GRANTED for method in METHODS}


@drives_scenario
def methods(scenario: Scenario) -> AccessTable:
    return scenario.access(scenario.request_checks(SPECIFIC | ANY), "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-method-specific", presumes=("http-matches-or",))
def test_listed_methods_are_granted_and_none_implies_another(methods: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(methods.select(*SPECIFIC)))


@pytest.mark.requirement("http-method-wildcard")
def test_a_star_covers_every_method(methods: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(methods.select(*ANY)))

"""Methods: those listed and no other; * is all of them."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/method",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route",),
)

SERVERS = ("access/server",)
SPECIFIC = {
    "GET /get": "granted",
    "HEAD /get": "denied",
    "POST /get": "denied",
    "PUT /get": "denied",
    "DELETE /get": "denied",
    "GET /read": "granted",
    "HEAD /read": "granted",
    "POST /read": "denied",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ANY = {f"{method} /any": "granted" for method in METHODS}


@drives_scenario
def methods(scenario: Scenario) -> AccessTable:
    asks = []
    for name, expect in (SPECIFIC | ANY).items():
        method, path = name.split()
        call = scenario.call("access/alpha", "access/server", method=method, path=path)
        asks.append(AccessCheck(name, "granted" if expect == "granted" else "denied", call, "server"))
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-method-specific", presumes=("http-matches-or",))
def test_listed_methods_are_granted_and_none_implies_another(methods: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(methods.select(*SPECIFIC)))


@pytest.mark.requirement("http-method-wildcard")
def test_a_star_covers_every_method(methods: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(methods.select(*ANY)))

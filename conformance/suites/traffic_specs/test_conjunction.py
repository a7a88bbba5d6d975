"""Within a match everything that is given must hold, and what is left out is no condition."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("traffic-specs/conjunction", arena=("access",), groups=("access", "specs"))

SERVERS = ("access/server",)
BLUE, PHONE = {"x-team": "blue"}, {"user-agent": "x iPhone x"}
OMITTED = {
    "GET / blue": ("granted", "GET", "/", BLUE),
    "POST /a/b blue": ("granted", "POST", "/a/b", BLUE),
    "GET /": ("denied", "GET", "/", {}),
    "POST /a/b": ("denied", "POST", "/a/b", {}),
}
CONJUNCTION = {
    "GET /api/x iPhone": ("granted", "GET", "/api/x", PHONE),
    "GET /other iPhone": ("denied", "GET", "/other", PHONE),
    "POST /api/x iPhone": ("denied", "POST", "/api/x", PHONE),
    "GET /api/x Android": ("denied", "GET", "/api/x", {"user-agent": "x Android x"}),
}


@drives_scenario
def conjunction(scenario: Scenario) -> AccessTable:
    asks = []
    for name, (expect, method, path, headers) in (OMITTED | CONJUNCTION).items():
        call = scenario.call("access/alpha", "access/server", method=method, path=path, headers=headers)
        asks.append(AccessCheck(name, "granted" if expect == "granted" else "denied", call, "server"))
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-omitted-path-and-methods", presumes=("http-header-filter",))
def test_a_match_of_headers_alone_holds_for_any_path_and_method(
    conjunction: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(conjunction.select(*OMITTED)))


@pytest.mark.requirement("http-path-method-header-conjunction")
def test_path_method_and_headers_of_a_match_must_all_hold(
    conjunction: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(conjunction.select(*CONJUNCTION)))

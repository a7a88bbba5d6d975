"""All conditions of a match must hold, and an omitted field is no condition."""

from __future__ import annotations

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("traffic-specs/conjunction", arena=("access",), groups=("access", "specs"))

SERVERS = ("access/server",)
BLUE, PHONE = {"x-team": "blue"}, {"user-agent": "x iPhone x"}
OMITTED = {
    "GET / blue": (GRANTED, "GET", "/", BLUE),
    "POST /a/b blue": (GRANTED, "POST", "/a/b", BLUE),
    "GET /": (DENIED, "GET", "/", {}),
    "POST /a/b": (DENIED, "POST", "/a/b", {}),
}
CONJUNCTION = {
    "GET /api/x iPhone": (GRANTED, "GET", "/api/x", PHONE),
    "GET /other iPhone": (DENIED, "GET", "/other", PHONE),
    "POST /api/x iPhone": (DENIED, "POST", "/api/x", PHONE),
    "GET /api/x Android": (DENIED, "GET", "/api/x", {"user-agent": "x Android x"}),
}


@drives_scenario
def conjunction(scenario: Scenario) -> AccessTable:
    checks = [
        scenario.access_check(
            name,
            "access/alpha",
            "access/server",
            granted=granted,
            control=False,
            method=method,
            path=path,
            headers=headers,
        )
        for name, (granted, method, path, headers) in (OMITTED | CONJUNCTION).items()
    ]
    return scenario.access(checks, "target.yaml", servers=SERVERS)


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

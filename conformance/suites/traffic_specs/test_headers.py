"""Header filters: a regular expression for the value, any case in the name, and all of a match must hold."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/headers",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route",),
)

SERVERS = ("access/server", "access/other")
ANDROID, INSIDER = {"user-agent": "x (Android 9)"}, {"cookie": "type=insider"}
USER = {
    "x-user: alice": ("granted", "/user", {"x-user": "alice"}),
    "x-user: bob": ("granted", "/user", {"x-user": "bob"}),
    "x-user: carol": ("denied", "/user", {"x-user": "carol"}),
    "x-user: alice2": ("denied", "/user", {"x-user": "alice2"}),
    "no x-user": ("denied", "/user", {}),
}
CASE = {
    "x-beta": ("granted", "/case", {"x-beta": "1"}),
    "X-BETA": ("granted", "/case", {"X-BETA": "1"}),
    "x-beta of another value": ("denied", "/case", {"x-beta": "2"}),
    "no x-beta": ("denied", "/case", {}),
}
OVER_HTTP2 = {f"{name} over HTTP/2": row for name, row in CASE.items() if name != "X-BETA"}
"""HTTP/2 has names in lower case only."""
BOTH = {
    "both headers": ("granted", "/both", ANDROID | INSIDER),
    "only the first": ("denied", "/both", ANDROID),
    "only the second": ("denied", "/both", INSIDER),
}


@drives_scenario
def headers(scenario: Scenario) -> AccessTable:
    asks = []
    for name, (expect, path, sent) in (USER | CASE | BOTH).items():
        call = scenario.call("access/alpha", "access/server", path=path, headers=sent)
        asks.append(AccessCheck(name, "granted" if expect == "granted" else "denied", call, "server"))
    for name, (expect, path, sent) in OVER_HTTP2.items():
        call = scenario.call("access/alpha", "access/other", protocol="http2", path=path, headers=sent)
        asks.append(AccessCheck(name, "granted" if expect == "granted" else "denied", call, "other"))
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-header-filter")
def test_a_header_must_be_there_with_a_value_that_matches(headers: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(headers.select(*USER)))


@pytest.mark.requirement("http-header-name-case-insensitive", presumes=("http-header-filter",))
def test_the_case_of_a_header_name_does_not_matter(headers: AccessTable, verdict: Conclude) -> None:
    verdict(
        judge.all_of(
            http=judge.access_enforced(headers.select(*CASE)),
            http2=judge.access_enforced(headers.select(*OVER_HTTP2)),
        )
    )


@pytest.mark.requirement("http-headers-and")
def test_all_headers_of_a_match_must_hold(headers: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(headers.select(*BOTH)))

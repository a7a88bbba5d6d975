"""Header filters: a regular expression for the value, any case in the name, all of them in a match."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/headers",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route",),
)

SERVERS = ("access/server", "access/other")
ANDROID, INSIDER = {"user-agent": "x (Android 9)"}, {"cookie": "type=insider"}
USER = {
    "x-user: alice": (GRANTED, "/user", {"x-user": "alice"}),
    "x-user: bob": (GRANTED, "/user", {"x-user": "bob"}),
    "x-user: carol": (DENIED, "/user", {"x-user": "carol"}),
    "x-user: alice2": (DENIED, "/user", {"x-user": "alice2"}),
    "no x-user": (DENIED, "/user", {}),
}
CASE = {
    "x-beta": (GRANTED, "/case", {"x-beta": "1"}),
    "X-BETA": (GRANTED, "/case", {"X-BETA": "1"}),
    "x-beta of another value": (DENIED, "/case", {"x-beta": "2"}),
    "no x-beta": (DENIED, "/case", {}),
}
OVER_HTTP2 = {f"{name} over HTTP/2": row for name, row in CASE.items() if name != "X-BETA"}
"""HTTP/2 allows names in lower case only."""
BOTH = {
    "both headers": (GRANTED, "/both", ANDROID | INSIDER),
    "only the first": (DENIED, "/both", ANDROID),
    "only the second": (DENIED, "/both", INSIDER),
}


@drives_scenario
def headers(scenario: Scenario) -> AccessTable:
    client = "access/alpha"
    checks = [
        scenario.access_check(
            name, client, "access/server", granted=granted, control=False, path=path, headers=sent
        )
        for name, (granted, path, sent) in (USER | CASE | BOTH).items()
    ]
    http2: dict[str, Any] = {"control": False, "protocol": "http2"}
    checks += [
        scenario.access_check(name, client, "access/other", granted=granted, path=path, headers=sent, **http2)
        for name, (granted, path, sent) in OVER_HTTP2.items()
    ]
    return scenario.access(checks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-header-filter")
def test_a_header_must_be_present_with_a_matching_value(headers: AccessTable, verdict: Conclude) -> None:
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

"""HTTP/1.1 and HTTP/2: a route group covers both, with path, method and headers."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/both-versions",
    arena=("access",),
    groups=("access", "specs"),
    presumes=(
        "access-deny-unlisted-route",
        "http-schema-by-version",
        "http-path-method-header-conjunction",
        "http-path-is-regex",
        "http-header-filter",
        "http-matches-or",
    ),
)

SERVERS = ("access/server",)
Request = tuple[str, str, dict[str, str]]
GRANTED_REQUESTS: tuple[Request, ...] = (("GET", "/items/7", {}), ("POST", "/user", {"x-user": "alice"}))
DENIED_REQUESTS: tuple[Request, ...] = (
    ("GET", "/items/x", {}),
    ("POST", "/items/7", {}),
    ("POST", "/user", {"x-user": "carol"}),
    ("POST", "/user", {}),
)
PROTOCOLS = ("http", "http2")
"""Both on one port, which declares no more than HTTP; HTTP/2 clients have prior knowledge."""


def checks(scenario: Scenario, protocol: str) -> list[AccessCheck]:
    """The granted requests, and then the denied ones."""

    def check(request: Request, *, granted: bool) -> AccessCheck:
        method, path, headers = request
        sent = "".join(f" {name}: {value}" for name, value in headers.items())
        return scenario.access_check(
            f"{protocol} {method} {path}{sent}",
            "access/alpha",
            "access/server",
            granted=granted,
            control=False,
            protocol=protocol,
            method=method,
            path=path,
            headers=headers,
        )

    granted = [check(request, granted=True) for request in GRANTED_REQUESTS]
    return granted + [check(request, granted=False) for request in DENIED_REQUESTS]


@drives_scenario
def both(scenario: Scenario) -> AccessTable:
    wanted = [check for protocol in PROTOCOLS for check in checks(scenario, protocol)]
    return scenario.access(wanted, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-both-protocol-versions")
def test_path_method_and_headers_decide_in_both_http_versions(both: AccessTable, verdict: Conclude) -> None:
    # Judged apart: the denials of a version have their control in the grants of the same version.
    first, second = (
        both.select(*[cell.name for cell in both.results if cell.traffic.call.protocol == protocol])
        for protocol in PROTOCOLS
    )
    verdict(judge.all_of(http=judge.access_enforced(first), http2=judge.access_enforced(second)))

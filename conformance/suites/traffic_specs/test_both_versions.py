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
GRANTED: tuple[Request, ...] = (("GET", "/items/7", {}), ("POST", "/user", {"x-user": "alice"}))
DENIED: tuple[Request, ...] = (
    ("GET", "/items/x", {}),
    ("POST", "/items/7", {}),
    ("POST", "/user", {"x-user": "carol"}),
    ("POST", "/user", {}),
)
PROTOCOLS = ("http", "http2")
"""Both on one port, which says no more than that it is of HTTP; HTTP/2 is spoken with prior knowledge."""


def asks(scenario: Scenario, protocol: str) -> list[AccessCheck]:
    """What is granted, and what is denied."""

    def ask(request: Request, *, granted: bool) -> AccessCheck:
        method, path, headers = request
        call = scenario.call(
            "access/alpha",
            "access/server",
            protocol=protocol,
            method=method,
            path=path,
            headers=headers,
        )
        sent = "".join(f" {name}: {value}" for name, value in headers.items())
        name = f"{protocol} {method} {path}{sent}"
        return AccessCheck(name, "granted" if granted else "denied", call, "server")

    granted = [ask(request, granted=True) for request in GRANTED]
    return granted + [ask(request, granted=False) for request in DENIED]


@drives_scenario
def both(scenario: Scenario) -> AccessTable:
    wanted = [ask for protocol in PROTOCOLS for ask in asks(scenario, protocol)]
    return scenario.access(wanted, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-both-protocol-versions")
def test_path_method_and_headers_decide_in_both_versions(both: AccessTable, verdict: Conclude) -> None:
    # Apart, so that what is denied in one version has its control in what is granted in the same.
    first, second = (
        both.select(*[cell.name for cell in both.results if cell.traffic.call.protocol == protocol])
        for protocol in PROTOCOLS
    )
    verdict(judge.all_of(http=judge.access_enforced(first), http2=judge.access_enforced(second)))

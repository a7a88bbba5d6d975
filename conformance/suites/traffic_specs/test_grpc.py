"""gRPC, which has no kind of its own: a route group tells its methods apart by their paths."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/grpc",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route", "http-schema-by-version", "http-both-protocol-versions"),
)

SERVERS = ("access/other",)
CALLS = {"/pkg.Service/Echo": "granted", "/pkg.Service/Other": "denied"}


@drives_scenario
def calls(scenario: Scenario) -> AccessTable:
    asks = []
    for path, expect in CALLS.items():
        call = scenario.call("access/alpha", "access/other", protocol="grpc", path=path)
        asks.append(AccessCheck(path, "granted" if expect == "granted" else "denied", call, "other"))
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-grpc-through-routes")
def test_a_method_is_granted_by_its_path_and_another_is_not(calls: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(calls))

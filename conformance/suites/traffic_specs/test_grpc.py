"""gRPC, which has no kind of its own: a route group distinguishes its methods by their paths."""

from __future__ import annotations

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/grpc",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route", "http-schema-by-version", "http-both-protocol-versions"),
)

SERVERS = ("access/other",)
CALLS = {"/pkg.Service/Echo": GRANTED, "/pkg.Service/Other": DENIED}


@drives_scenario
def calls(scenario: Scenario) -> AccessTable:
    checks = [
        scenario.access_check(
            path, "access/alpha", "access/other", granted=granted, control=False, protocol="grpc", path=path
        )
        for path, granted in CALLS.items()
    ]
    return scenario.access(checks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("http-grpc-through-routes")
def test_a_grpc_method_is_granted_by_its_path_and_another_is_not(
    calls: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(calls))

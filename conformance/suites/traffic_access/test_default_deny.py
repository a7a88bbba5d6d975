"""Nothing is let through that no TrafficTarget allows, and a target opens its own destination alone."""

from __future__ import annotations

from typing import Literal

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/default-deny", arena=("access", "outside"), groups=("access", "specs")
)

MESHED = ("access/server", "access/other")
SERVERS = (*MESHED, "outside/outsider")
RAW = 9000


def asks(scenario: Scenario, *, granted: bool) -> list[AccessCheck]:
    """Calls of one client by HTTP, and by raw TCP if the mesh carries it; each has a twin outside."""
    alpha, twin = "access/alpha", "outside/outsider"
    http, http_other, http_twin = (scenario.call(alpha, name) for name in (*MESHED, twin))
    expect: Literal["granted", "denied"] = "granted" if granted else "denied"
    by_http = [
        AccessCheck("HTTP to server", expect, http, "server", http_twin),
        AccessCheck("HTTP to other", "denied", http_other, "other", http_twin),
    ]
    if not scenario.carries("tcp"):
        return by_http
    raw, raw_other, raw_twin = (
        scenario.call(alpha, f"{name}-tcp", port=RAW, protocol="tcp") for name in (*MESHED, twin)
    )
    return [
        *by_http,
        AccessCheck("TCP to server", expect, raw, "server", raw_twin),
        AccessCheck("TCP to other", "denied", raw_other, "other", raw_twin),
    ]


@drives_scenario
def steps(scenario: Scenario) -> list[AccessTable]:
    closed = asks(scenario, granted=False)
    baseline = scenario.baseline(closed, SERVERS)
    nothing = scenario.table(closed, baseline, SERVERS)
    one = scenario.access(asks(scenario, granted=True), "target.yaml", servers=SERVERS)
    return [nothing, one]


@pytest.mark.requirement("access-default-deny")
def test_only_a_target_for_the_destination_itself_opens_it(
    steps: list[AccessTable], verdict: Conclude
) -> None:
    nothing, one = steps
    verdict(
        judge.all_of(
            without_targets=judge.access_enforced(nothing),
            with_one=judge.access_enforced(one),
        )
    )

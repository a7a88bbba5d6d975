"""Calls without a TrafficTarget are denied, and a target opens its own destination alone."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/default-deny", arena=("access", "outside"), groups=("access", "specs")
)

CLIENT = "access/alpha"
SERVERS = ("access/server", "access/other", "outside/outsider")


def checks(scenario: Scenario, *, granted: bool) -> list[AccessCheck]:
    """Calls of one client by HTTP, and by raw TCP if the mesh carries it."""
    raw: dict[str, Any] = {"port": 9000, "protocol": "tcp"}
    found = [
        scenario.access_check("HTTP to server", CLIENT, "access/server", granted=granted),
        scenario.access_check("HTTP to other", CLIENT, "access/other", granted=False),
    ]
    if scenario.carries("tcp"):
        found += [
            scenario.access_check(
                "TCP to server", CLIENT, "access/server-tcp", granted=granted, server="server", **raw
            ),
            scenario.access_check(
                "TCP to other", CLIENT, "access/other-tcp", granted=False, server="other", **raw
            ),
        ]
    return found


@drives_scenario
def steps(scenario: Scenario) -> list[AccessTable]:
    closed = checks(scenario, granted=False)
    baseline = scenario.baseline(closed, SERVERS)
    nothing = scenario.table(closed, baseline, SERVERS)
    return [nothing, scenario.access(checks(scenario, granted=True), "target.yaml", servers=SERVERS)]


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

"""The root's own target port is irrelevant."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/root-targetport",
    arena=("main",),
    groups=("split",),
)

SERVERS = ["main/v1", "main/v2", "main/v3", "main/v4"]
QUARTERS = {"v2": 75, "v3": 25}


@drives_scenario
def hollow(scenario: Scenario) -> Effect:
    scenario.create_services()
    call = scenario.call("main/client", "main/hollow")
    division = ExpectedResponders.by_weight(call, QUARTERS, unreachable_before=True)
    (effect,) = scenario.apply_and_sample([division], "split.yaml", servers=SERVERS)
    return effect


@pytest.mark.requirement("split-root-targetport-irrelevant")
def test_backends_serve_a_root_whose_own_target_port_is_closed(hollow: Effect, verdict: Conclude) -> None:
    verdict(judge.root_served_by_backends(hollow, QUARTERS))

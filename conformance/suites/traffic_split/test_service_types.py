"""Backends of Service types other than ClusterIP get their shares."""

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
    "traffic-split/service-types",
    arena=("main",),
    groups=("split",),
)

SERVERS = ["main/v1", "main/v2", "main/v3", "main/v4"]
SORTS = {"v2": 50, "v3": 25, "v4": 25}


@drives_scenario
def sorts(scenario: Scenario) -> Effect:
    scenario.create_services()
    call = scenario.call("main/client", "main/sorts")
    (effect,) = scenario.apply_and_sample(
        [ExpectedResponders.by_weight(call, SORTS)], "split.yaml", servers=SERVERS
    )
    return effect


@pytest.mark.requirement("split-backend-service-types")
def test_headless_and_node_port_services_get_their_shares(sorts: Effect, verdict: Conclude) -> None:
    verdict(judge.weights_followed(sorts, SORTS))

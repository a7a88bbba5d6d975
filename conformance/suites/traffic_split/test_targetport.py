"""The target port is that of the chosen backend."""

from __future__ import annotations

import pytest

from conformance.suite import Conclude, Effect, ExpectedResponders, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-split/targetport", arena=("main",), groups=("split",), presumes=("split-single-backend",)
)


@drives_scenario
def ported(scenario: Scenario) -> Effect:
    scenario.create_services()
    root = scenario.call("main/client", "main/ported", requests=600)
    (effect,) = scenario.apply_and_sample(
        [ExpectedResponders(root, frozenset({"v2", "v3"}))],
        "split.yaml",
        servers=["main/v1", "main/v2", "main/v3"],
    )
    return effect


@pytest.mark.requirement("split-targetport-per-backend")
def test_each_backend_is_reached_at_its_own_target_port(ported: Effect, verdict: Conclude) -> None:
    verdict(judge.reaches_target_ports(ported, {"v2": 8080, "v3": 8081}))

"""The port mapping is that of the chosen backend."""

from __future__ import annotations

import pytest

from conformance.suite import Conclude, Division, Effect, Scenario, driven, judge

pytestmark = pytest.mark.scenario(
    "traffic-split/targetport", arena=("main",), groups=("split",), presumes=("split-single-backend",)
)


@driven
def ported(scenario: Scenario) -> Effect:
    scenario.provide()
    root = scenario.call("main/client", "main/ported", requests=600)
    (effect,) = scenario.effects(
        [Division(root, frozenset({"v2", "v3"}))], "split.yaml", servers=["main/v1", "main/v2", "main/v3"]
    )
    return effect


@pytest.mark.requirement("split-targetport-per-backend")
def test_each_backend_is_reached_at_its_own_target_port(ported: Effect, verdict: Conclude) -> None:
    verdict(judge.lands_on(ported, {"v2": 8080, "v3": 8081}))

"""The root's own target port plays no part."""

from __future__ import annotations

import pytest

from conformance.suite import Conclude, Division, Effect, Scenario, driven, judge, sample_size

pytestmark = pytest.mark.scenario(
    "traffic-split/root-targetport",
    arena=("main",),
    groups=("split",),
)

SERVERS = ["main/v1", "main/v2", "main/v3", "main/v4"]
QUARTERS = {"v2": 75, "v3": 25}


@driven
def hollow(scenario: Scenario) -> Effect:
    scenario.provide()
    call = scenario.call("main/client", "main/hollow", requests=sample_size(QUARTERS))
    division = Division(call, frozenset(QUARTERS), dead_before=True)
    (effect,) = scenario.effects([division], "split.yaml", servers=SERVERS)
    return effect


@pytest.mark.requirement("split-root-targetport-irrelevant")
def test_a_root_whose_target_port_nobody_listens_on_is_served_by_its_backends(
    hollow: Effect, verdict: Conclude
) -> None:
    verdict(judge.opened(hollow, QUARTERS))

"""A split reaches the named target ports of its backends, whatever their numbers."""

from __future__ import annotations

import pytest

from conformance.suite import Conclude, Effect, ExpectedResponders, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("traffic-split/named-target-ports", arena=("main",), groups=("split",))

SERVERS = ["main/v1", "main/v2", "main/v3"]
PORTS = dict.fromkeys(("v2", "v3"), 8081)


@drives_scenario
def named(scenario: Scenario) -> Effect:
    scenario.create_services()
    call = scenario.call("main/client", "main/labelled", requests=600)
    (effect,) = scenario.apply_and_sample(
        [ExpectedResponders(call, frozenset(PORTS))], "split.yaml", servers=SERVERS
    )
    return effect


@pytest.mark.requirement("common-named-target-ports")
def test_each_backend_is_reached_at_its_named_target_port(named: Effect, verdict: Conclude) -> None:
    verdict(judge.reaches_target_ports(named, PORTS))

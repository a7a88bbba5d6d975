"""Whether flows of UDP are divided, which the specification leaves open."""

from __future__ import annotations

import pytest

from conformance.suite import (
    REQUESTS,
    Behaviour,
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    SendOptions,
    Trial,
    TrialPlan,
    TrialResults,
    drives_scenario,
    judge,
    observe,
)

pytestmark = pytest.mark.scenario("traffic-split/flows", arena=("main", "udp"), groups=("split",), alone=True)

SERVERS = ["main/v1", "main/v2", "main/v3", "udp/server", "udp/other", "udp/third"]
FLOWS = "flows of UDP"
LOOKS = (
    Behaviour("a", ("other", "third")),
    Behaviour("b", ("server",)),
    Behaviour("", (), finding="UDP gets nowhere"),
)


@drives_scenario
def seen(scenario: Scenario) -> TrialResults[Effect]:
    def steady(server: str) -> ExpectedResponders:
        return ExpectedResponders(
            scenario.call("main/client", "main/flowing", requests=200), frozenset({server})
        )

    scenario.create_services()
    if scenario.profile.access.default == "deny":
        scenario.apply_objects(scenario.objects_for_version("permits.yaml"))
    call = scenario.call("udp/alpha", "udp/flows", requests=REQUESTS, protocol="udp", port=9000)
    trial = Trial(
        FLOWS, FLOWS, call, LOOKS, ("server",), object_name="flows", options=SendOptions(new_connections=True)
    )
    odd = TrialPlan([trial], ["2-flows.yaml"], SERVERS)
    return observe(scenario, odd, (steady("v2"), "1-steady.yaml"), (steady("v3"), "3-steady.yaml"))


@pytest.mark.requirement("split-unit-of-division")
def test_whether_flows_of_udp_are_divided(seen: TrialResults[Effect], verdict: Conclude) -> None:
    effect = judge.everything_reaches(seen.effect, "v2")
    verdict(judge.reading(effect, seen.select(FLOWS), effect))

"""Division of UDP flows, which the specification leaves open."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Conclude,
    Scenario,
    SendOptions,
    SplitTrials,
    TrialRegister,
    answered,
    drives_scenario,
    finding,
    judge,
)

pytestmark = pytest.mark.scenario("traffic-split/flows", arena=("main", "udp"), groups=("split",), alone=True)

trials = TrialRegister(
    ["main/v1", "main/v2", "main/v3", "udp/server", "udp/other", "udp/third"], {"client": "udp/alpha"}
)


@drives_scenario
def seen(scenario: Scenario) -> SplitTrials:
    scenario.create_services()
    if scenario.profile.access.default == "deny":
        scenario.apply_objects(scenario.objects_for_version("permits.yaml"))
    return trials.run_beside_split(
        scenario,
        scenario.call("main/client", "main/flowing", requests=200),
        {"v2": "1-steady.yaml", "v3": "3-steady.yaml"},
        lambda effect: judge.everything_reaches(effect, "v2"),
        files=["2-flows.yaml"],
    )


FLOWS = trials.declare(
    "flows of UDP",
    "flows of UDP",
    (answered("a", "other", "third"), answered("b", "server")),
    findings=[finding("UDP gets nowhere")],
    split="flows",
    protocol="udp",
    port=9000,
    options=SendOptions(new_connections=True),
    baseline_responders=("server",),
)


@pytest.mark.requirement("split-unit-of-division")
def test_the_division_of_udp_flows_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(FLOWS))

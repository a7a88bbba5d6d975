"""Whether flows of UDP are divided, which the specification leaves open."""

from __future__ import annotations

import pytest

from conformance.suite import (
    REQUESTS,
    Conclude,
    Division,
    Effect,
    Look,
    Manner,
    Observed,
    Odd,
    Scenario,
    Trial,
    driven,
    judge,
    observe,
)

pytestmark = pytest.mark.scenario("traffic-split/flows", arena=("main", "udp"), groups=("split",), alone=True)

SERVERS = ["main/v1", "main/v2", "main/v3", "udp/server", "udp/other", "udp/third"]
FLOWS = "flows of UDP"
LOOKS = (
    Look("a", ("other", "third")),
    Look("b", ("server",)),
    Look("", (), finding="UDP gets nowhere"),
)


@driven
def seen(scenario: Scenario) -> Observed[Effect]:
    def steady(server: str) -> Division:
        return Division(scenario.call("main/client", "main/flowing", requests=200), frozenset({server}))

    scenario.provide()
    if scenario.profile.access.default == "deny":
        scenario.apply_objects(scenario.expressible("permits.yaml"))
    call = scenario.call("udp/alpha", "udp/flows", requests=REQUESTS, protocol="udp", port=9000)
    trial = Trial(FLOWS, FLOWS, call, LOOKS, ("server",), about="flows", manner=Manner(fresh=True))
    odd = Odd([trial], ["2-flows.yaml"], SERVERS)
    return observe(scenario, odd, (steady("v2"), "1-steady.yaml"), (steady("v3"), "3-steady.yaml"))


@pytest.mark.requirement("split-unit-of-division")
def test_whether_flows_of_udp_are_divided(seen: Observed[Effect], verdict: Conclude) -> None:
    effect = judge.everything_reaches(seen.effect, "v2")
    verdict(judge.reading(effect, seen.about(FLOWS), effect))

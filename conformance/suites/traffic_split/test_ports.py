"""Ports of root and backend pair by number, and each port is divided by itself."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from conformance.suite import (
    Call,
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/ports",
    arena=("main",),
    groups=("split",),
    presumes=("split-single-backend",),
)

QUARTERS = {"v2": 75, "v3": 25}
AT_8080 = dict.fromkeys(QUARTERS, 8080)
AT_8081 = dict.fromkeys(QUARTERS, 8081)


@drives_scenario
def effects(scenario: Scenario) -> Mapping[str, Effect]:
    scenario.create_services()

    def call(root: str, port: int = 8080) -> Call:
        return scenario.call("main/client", f"main/{root}", requests=1000, port=port)

    one, both = frozenset({"v2"}), frozenset(QUARTERS)
    divisions = {
        "number": ExpectedResponders(call("number"), one),
        "twin 8080": ExpectedResponders.by_weight(call("twin"), QUARTERS),
        "twin 9090": ExpectedResponders.by_weight(call("twin", 9090), QUARTERS),
        "halved 9090": ExpectedResponders(call("halved", 9090), one),
        # A backend with some of the root's ports takes part on these.
        "halved 8080": ExpectedResponders(call("halved"), both),
    }
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    found = scenario.apply_and_sample(list(divisions.values()), "split.yaml", servers=servers)
    return dict(zip(divisions, found, strict=True))


@pytest.mark.requirement("split-port-mismatch-excluded")
def test_a_backend_without_the_port_gets_nothing_and_the_others_get_all(
    effects: Mapping[str, Effect], verdict: Conclude
) -> None:
    number, lacking, shared = (effects[name] for name in ("number", "halved 9090", "halved 8080"))
    verdict(
        judge.all_of(
            no_port_shared=judge.everything_reaches(number, "v2"),
            the_port_that_one_lacks=judge.everything_reaches(lacking, "v2"),
            the_port_of_both=judge.nothing_reaches(shared, "v1"),
        )
    )


@pytest.mark.requirement("split-multi-port")
def test_each_port_of_a_root_is_divided_and_leads_to_the_same_port_of_its_backends(
    effects: Mapping[str, Effect], verdict: Conclude
) -> None:
    first, second = effects["twin 8080"], effects["twin 9090"]
    verdict(
        judge.all_of(
            port_8080=judge.weights_followed(first, QUARTERS, None, AT_8080),
            port_9090=judge.weights_followed(second, QUARTERS, None, AT_8081),
        )
    )

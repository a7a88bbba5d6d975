"""Requests to the root are divided in proportion to the weights, even for very small shares."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from conformance.suite import (
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    SendOptions,
    Traffic,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario("traffic-split/weighted-distribution", arena=("main",), groups=("split",))

EIGHTY_TWENTY = {"v2": 80, "v3": 20}
ONE_IN_A_HUNDRED = {"v2": 75, "v3": 24, "v4": 1}
ONE_IN_A_THOUSAND = {"v2": 749, "v3": 250, "v4": 1}
ROOTS = {"main/shop": EIGHTY_TWENTY, "main/rare": ONE_IN_A_HUNDRED, "main/rarest": ONE_IN_A_THOUSAND}


@dataclass(frozen=True)
class Divided:
    """The effect on each root, and the traffic of the first on a new connection for each request."""

    effects: list[Effect]
    on_new_connections: Traffic


@drives_scenario
def divided(scenario: Scenario) -> Divided:
    scenario.create_services()
    wanted = [
        ExpectedResponders.by_weight(scenario.call("main/client", root), weights)
        for root, weights in ROOTS.items()
    ]
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    effects = scenario.apply_and_sample(wanted, "split.yaml", servers=servers)
    # A mesh that divides within each connection is right on kept connections and wrong on these.
    new = SendOptions(new_connections=True, share_test=wanted[0].share_test)
    (fresh,) = scenario.send(wanted[0].call, servers=servers, options=new)
    return Divided(effects, fresh)


@pytest.mark.requirement("split-root-endpoints-not-implicit")
def test_pods_that_only_the_root_selects_get_no_requests(divided: Divided, verdict: Conclude) -> None:
    verdict(judge.nothing_reaches(divided.effects[0], "v1"))


@pytest.mark.requirement("split-weighted-distribution")
def test_requests_are_divided_80_to_20(divided: Divided, verdict: Conclude) -> None:
    verdict(judge.weights_followed(divided.effects[0], EIGHTY_TWENTY))


@pytest.mark.requirement("split-weighted-distribution")
def test_new_connections_of_one_request_are_divided_80_to_20(divided: Divided, verdict: Conclude) -> None:
    fresh = replace(divided.effects[0], sample=divided.on_new_connections)
    verdict(judge.weights_followed(fresh, EIGHTY_TWENTY))


@pytest.mark.requirement("split-weighted-distribution")
def test_a_share_of_one_percent_is_honoured(divided: Divided, verdict: Conclude) -> None:
    verdict(judge.weights_followed(divided.effects[1], ONE_IN_A_HUNDRED))


@pytest.mark.requirement("split-weighted-distribution")
def test_a_share_of_one_in_a_thousand_is_not_rounded(divided: Divided, verdict: Conclude) -> None:
    verdict(judge.weights_followed(divided.effects[2], ONE_IN_A_THOUSAND))

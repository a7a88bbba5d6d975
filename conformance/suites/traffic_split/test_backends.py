"""The pods of a backend are exactly those of the Service that the split names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from conformance.suite import (
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario("traffic-split/backends", arena=("main",), groups=("split",))

TWO = {"pair": ("v3", "v4")}
HALVES = {"v2": 50, "pair": 50}
ALL_OF_IT = 1000


@drives_scenario
def effects(scenario: Scenario) -> Mapping[str, Effect]:
    scenario.create_services()
    lone = scenario.call("main/client", "main/lone", requests=ALL_OF_IT)
    wanted = {
        "lone": ExpectedResponders(lone, frozenset({"v2"})),
        "uneven": ExpectedResponders.by_weight(scenario.call("main/client", "main/uneven"), HALVES, TWO),
    }
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    found = scenario.apply_and_sample(list(wanted.values()), "split.yaml", servers=servers)
    return dict(zip(wanted, found, strict=True))


@pytest.mark.requirement("split-single-backend")
def test_the_only_backend_gets_all_requests_although_the_root_does_not_select_it(
    effects: Mapping[str, Effect], verdict: Conclude
) -> None:
    verdict(judge.everything_reaches(effects["lone"], "v2"))


@pytest.mark.requirement("split-by-service-not-pod-count", presumes=("split-single-backend",))
def test_the_weight_of_a_backend_holds_whatever_its_number_of_pods(
    effects: Mapping[str, Effect], verdict: Conclude
) -> None:
    verdict(judge.weights_followed(effects["uneven"], HALVES, TWO))

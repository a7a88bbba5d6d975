"""A backend that is the root of another split: splits are not applied one after the other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from conformance.suite import Conclude, Effect, ExpectedResponders, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-split/nested",
    arena=("main",),
    groups=("split",),
    presumes=("split-single-backend",),
)

SERVERS = ["main/v1", "main/v2", "main/v3", "main/v4"]


@drives_scenario
def effects(scenario: Scenario) -> Mapping[str, Effect]:
    scenario.create_services()
    wanted = {
        root: ExpectedResponders(
            scenario.call("main/client", f"main/{root}", requests=1000), frozenset({server})
        )
        for root, server in {"upper": "v3", "middle": "v2"}.items()
    }
    found = scenario.apply_and_sample(list(wanted.values()), "split.yaml", servers=SERVERS)
    return dict(zip(wanted, found, strict=True))


@pytest.mark.requirement("split-not-hierarchical")
def test_a_backend_that_is_a_root_itself_serves_its_own_share(
    effects: Mapping[str, Effect], verdict: Conclude
) -> None:
    upper, middle = effects["upper"], effects["middle"]
    verdict(
        judge.all_of(
            through_the_upper_split=judge.everything_reaches(upper, "v3"),
            by_its_own_name=judge.everything_reaches(middle, "v2"),
        )
    )

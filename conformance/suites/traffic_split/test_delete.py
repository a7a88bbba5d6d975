"""Deletion of a split restores ordinary routing of its root."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    delete_split,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario("traffic-split/delete", arena=("main",), groups=("split",))

ROOT = frozenset({"v1"})
SERVERS = ["main/v1", "main/v2", "main/v3", "main/v4"]


@drives_scenario
def effects(scenario: Scenario) -> tuple[Effect, Effect]:
    scenario.create_services()
    root = scenario.call("main/client", "main/going", requests=200)
    (split,) = scenario.apply_and_sample(
        [ExpectedResponders(root, frozenset({"v2"}))], "split.yaml", servers=SERVERS
    )
    return split, delete_split(scenario, "split.yaml", root, split.sample, ROOT, SERVERS)


@pytest.mark.requirement("split-delete-restores-root")
def test_the_selector_of_the_root_routes_again(effects: tuple[Effect, Effect], verdict: Conclude) -> None:
    split, deletion = effects
    verdict(
        judge.all_of(
            split=judge.everything_reaches(split, "v2"),
            deletion=judge.root_routing_restored(deletion, sorted(ROOT)),
        )
    )

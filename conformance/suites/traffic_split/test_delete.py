"""A deleted split leaves the root to ordinary routing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import (
    POLL_REQUESTS,
    POLL_REUSED,
    Conclude,
    Convergence,
    Effect,
    ExpectedResponders,
    Scenario,
    Traffic,
    classify_poll,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/delete",
    arena=("main",),
    groups=("split",),
)

EVERYBODY = frozenset({"v1"})
SERVERS = ["main/v1", "main/v2", "main/v3", "main/v4"]


@dataclass(frozen=True)
class Deletion:
    split: Effect
    after: Traffic
    convergence: Convergence


@drives_scenario
def deletion(scenario: Scenario) -> Deletion:
    scenario.create_services()
    root = scenario.call("main/client", "main/going", requests=200)
    (split,) = scenario.apply_and_sample(
        [ExpectedResponders(root, frozenset({"v2"}))], "split.yaml", servers=SERVERS
    )
    scenario.delete("split.yaml")
    polled = scenario.call("main/client", "main/going", requests=POLL_REQUESTS)
    convergences, _ = scenario.wait_for_responders(
        [polled], lambda _, seen: classify_poll(seen, all_of=EVERYBODY), ["all pods of the root answer again"]
    )
    (after,) = scenario.driver.send([root], POLL_REUSED, ledgers=SERVERS)
    return Deletion(split, after, convergences[0])


@pytest.mark.requirement("split-delete-restores-root")
def test_the_root_is_routed_by_its_own_selector_again(deletion: Deletion, verdict: Conclude) -> None:
    during = deletion.split.sample
    verdict(
        judge.all_of(
            split=judge.everything_reaches(deletion.split, "v2"),
            deletion=judge.root_routing_restored(
                Effect(during, deletion.after, deletion.convergence), sorted(EVERYBODY)
            ),
        )
    )

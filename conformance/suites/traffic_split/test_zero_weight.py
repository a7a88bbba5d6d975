"""A backend of weight 0 gets no requests from the root, and all requests to its own name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import Conclude, Effect, ExpectedResponders, Scenario, Traffic, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-split/zero-weight",
    arena=("main",),
    groups=("split",),
    presumes=("split-overlapping-selectors",),
)


@dataclass(frozen=True)
class Resting:
    root: Effect
    to_v1: Traffic
    to_v2: Traffic


@drives_scenario
def resting(scenario: Scenario) -> Resting:
    scenario.create_services()
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    root = scenario.call("main/client", "main/resting", requests=2000)
    # The workloads that must stop answering are v3 and v4, which the split does not name; v2 is judged.
    among = ExpectedResponders(root, frozenset({"v1", "v2"}))
    (effect,) = scenario.apply_and_sample([among], "split.yaml", servers=servers)
    direct = [scenario.call("main/client", f"main/{name}", requests=200) for name in ("v1", "v2")]
    to_v1, to_v2 = scenario.send(*direct, servers=servers)
    return Resting(effect, to_v1, to_v2)


@pytest.mark.requirement("split-zero-weight-gets-nothing")
def test_a_backend_of_weight_zero_gets_no_requests(resting: Resting, verdict: Conclude) -> None:
    verdict(judge.nothing_reaches(resting.root, "v2"))


@pytest.mark.requirement("split-direct-backend-access")
def test_a_backend_is_reached_by_its_own_name_whatever_its_weight(
    resting: Resting, verdict: Conclude
) -> None:
    in_force = judge.nothing_reaches(resting.root, "v3")
    verdict(
        judge.all_of(
            v1=judge.preserved(in_force, resting.to_v1, "v1"),
            v2=judge.preserved(in_force, resting.to_v2, "v2"),
        )
    )

"""Edits of a split take effect step by step, and the old version retires under steady traffic."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from conformance.suite import (
    CONCURRENCY,
    GONE_WITHIN_S,
    MIN_REQUESTS,
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    Traffic,
    drives_scenario,
    judge,
    wait_until_gone,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/live-edits",
    arena=("main",),
    groups=("split",),
    presumes=(
        "split-single-backend",
        "split-weighted-distribution",
        "split-zero-weight-gets-nothing",
    ),
)

MOST_TO_V2 = {"v2": 75, "v3": 25}
SOME_TO_OLD = {"v3": 60, "old": 40}
ALL_OF_IT = 1000
STEADY_PER_S = 300.0


@dataclass(frozen=True)
class Steps:
    """The effects of the edits, and the traffic during and after the retirement of the old version."""

    most_to_v2: Effect
    all_to_v3: Effect
    some_to_old: Effect
    only_v3: Effect
    steady: list[Traffic]
    after: Traffic


@drives_scenario
def steps(scenario: Scenario) -> Steps:
    scenario.create_services()
    scenario.apply("old.yaml")
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]

    call = scenario.call("main/client", "main/moving", requests=ALL_OF_IT)

    def step(file: str, wanted: ExpectedResponders) -> Effect:
        (effect,) = scenario.apply_and_sample([wanted], file, servers=servers)
        return effect

    only = ExpectedResponders(call, frozenset({"v3"}))
    most_to_v2 = step("1-most-to-v2.yaml", ExpectedResponders.by_weight(call, MOST_TO_V2))
    all_to_v3 = step("2-all-to-v3.yaml", only)
    scenario.arena.adopt("main/old")
    servers.append("main/old")
    some = ExpectedResponders.by_weight(call, SOME_TO_OLD, must_appear=frozenset({"old"}))
    some_to_old = step("3-some-to-old.yaml", some)
    only_v3 = step("4-only-v3.yaml", only)
    # The old version is no backend any more: its workload and Service go under steady traffic to the root.
    steadily, duration_s = (
        replace(call, requests=CONCURRENCY),
        scenario.background_duration_s(1, GONE_WITHIN_S),
    )
    with scenario.background_traffic(steadily, rate_per_s=STEADY_PER_S, duration_s=duration_s) as steady:
        scenario.delete("old.yaml")
        servers.remove("main/old")
        wait_until_gone(scenario, "old", "the old version is gone")
        (after,) = scenario.send(call, servers=servers)
        scenario.wait_for_volume(
            lambda: all(one.received("main/v3") > MIN_REQUESTS for one in steady),
            "enough steady traffic was seen",
        )
        during = [one.stop(ledgers=servers) for one in steady]
    return Steps(most_to_v2, all_to_v3, some_to_old, only_v3, during, after)


@pytest.mark.requirement("split-live-edits")
def test_each_edit_moves_traffic_and_the_retirement_of_a_version_affects_no_request(
    steps: Steps, verdict: Conclude
) -> None:
    only_v3 = judge.everything_reaches(steps.only_v3, "v3")
    verdict(
        judge.all_of(
            most_to_v2=judge.weights_followed(steps.most_to_v2, MOST_TO_V2),
            all_to_v3=judge.everything_reaches(steps.all_to_v3, "v3"),
            some_to_old=judge.weights_followed(steps.some_to_old, SOME_TO_OLD),
            only_v3=only_v3,
            retirement=judge.preserved(only_v3, [*steps.steady, steps.after], "v3"),
        )
    )

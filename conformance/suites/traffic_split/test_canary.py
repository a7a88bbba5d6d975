"""The specification's canary workflow, from the creation of a new version to the retirement of the old.

Each step is made under steady traffic. `test_canary_metrics.py` reads the counts by backend, which the
workflow uses where a mesh has metrics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from conformance.suite import (
    READY_WITHIN_S,
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    StepsUnderLoad,
    StepUnderLoad,
    Traffic,
    classify_poll,
    delete_split,
    drives_scenario,
    judge,
    wait_until_gone,
)

pytestmark = pytest.mark.scenario("traffic-split/canary", arena=("main",), groups=("split",))

EVERYBODY = frozenset({"v1", "v2", "v3", "v4", "fresh"})
OLD, QUARTER, NEW = {"v1": 100, "fresh": 0}, {"v1": 75, "fresh": 25}, {"v1": 0, "fresh": 100}
ALL_OF_IT = 1000
STEADY_PER_S = 100.0
"""Of each of two streams. More would saturate two processors by themselves, and pods start meanwhile."""


@dataclass(frozen=True)
class Rollout:
    """All steps in their order; ``by_name`` is the traffic to the new version's own name, at weight 0."""

    reserved: Effect
    created: StepUnderLoad
    by_name: Traffic
    quarter: StepUnderLoad
    whole: StepUnderLoad
    retired: StepUnderLoad
    deleted: Effect
    steady: list[Traffic]


@drives_scenario
def rollout(scenario: Scenario) -> Rollout:
    scenario.create_services()
    scenario.apply("stable.yaml")
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    root = scenario.call("main/client", "main/canary", requests=ALL_OF_IT)
    by_name = scenario.call("main/client", "main/fresh", requests=200)
    steps = StepsUnderLoad(scenario, root, servers, STEADY_PER_S)

    def create() -> None:
        scenario.apply("2-fresh.yaml")
        scenario.arena.adopt("main/fresh")
        servers.append("main/fresh")
        scenario.wait_for_responders(
            [by_name], lambda _, seen: classify_poll(seen), ["the new version answers to its own name"]
        )

    def retire() -> None:
        scenario.apply("5-only-fresh.yaml")
        scenario.delete("stable.yaml")

    old = ExpectedResponders(root, frozenset({"v1"}))
    (reserved,) = scenario.apply_and_sample([old], "1-before-fresh.yaml", servers=servers)
    created = steps.make(create, old, reserved, more_s=READY_WITHIN_S)
    (direct,) = scenario.send(by_name, servers=servers)
    quarter = steps.make(
        lambda: scenario.apply("3-quarter.yaml"), ExpectedResponders.by_weight(root, QUARTER), created.effect
    )
    new = ExpectedResponders(root, frozenset({"fresh"}))
    whole = steps.make(lambda: scenario.apply("4-all.yaml"), new, quarter.effect)
    # The old version's last share is the null control: its retirement must show no difference.
    retired = steps.make(retire, new, whole.effect)
    with scenario.background_traffic(
        root, rate_per_s=STEADY_PER_S, duration_s=scenario.background_duration_s(1)
    ) as steady:
        again = scenario.call("main/client", "main/canary", requests=200)
        deleted = delete_split(
            scenario, "5-only-fresh.yaml", again, retired.effect.sample, EVERYBODY, servers
        )
        over = [one.stop(ledgers=servers) for one in steady]
    scenario.delete("2-fresh.yaml")
    wait_until_gone(scenario, "fresh", "the new version is gone")
    return Rollout(reserved, created, direct, quarter, whole, retired, deleted, over)


@pytest.mark.requirement("split-backend-precreated-zero")
def test_a_backend_created_later_changes_nothing_at_weight_zero(rollout: Rollout, verdict: Conclude) -> None:
    effect, created = rollout.reserved, rollout.created
    once_created = replace(created.effect, baseline=effect.baseline)
    reserved = judge.everything_reaches(effect, "v1")
    verdict(
        judge.all_of(
            before_it_exists=reserved,
            while_it_is_created=judge.within_either_step(
                reserved, created.during, OLD, OLD, effect.convergence
            ),
            once_it_is_there=judge.everything_reaches(once_created, "v1"),
            by_its_own_name=judge.preserved(reserved, rollout.by_name, "fresh"),
        )
    )


@pytest.mark.requirement(
    "interact-canary-rollout",
    presumes=(
        "split-weighted-distribution",
        "split-zero-weight-gets-nothing",
        "split-live-edits",
        "split-backend-precreated-zero",
        "split-delete-restores-root",
    ),
)
def test_each_step_of_a_rollout_takes_effect_without_lost_or_misrouted_requests(
    rollout: Rollout, verdict: Conclude
) -> None:
    quarter, whole, retired = rollout.quarter, rollout.whole, rollout.retired
    divided = judge.weights_followed(quarter.effect, QUARTER)
    everything = judge.everything_reaches(whole.effect, "fresh")
    alone = replace(retired.effect, baseline=whole.effect.baseline)
    kept, new = rollout.steady
    verdict(
        judge.all_of(
            reserved=judge.everything_reaches(rollout.reserved, "v1"),
            quarter=divided,
            on_the_way_to_a_quarter=judge.within_either_step(
                divided, quarter.during, OLD, QUARTER, quarter.effect.convergence
            ),
            whole=everything,
            on_the_way_to_all=judge.within_either_step(
                everything, whole.during, QUARTER, NEW, whole.effect.convergence
            ),
            retirement=judge.preserved(everything, [*retired.during, retired.effect.sample], "fresh"),
            only_the_new_version=judge.everything_reaches(alone, "fresh"),
            deletion=judge.root_routing_restored(rollout.deleted, sorted(EVERYBODY)),
            meanwhile_on_kept_connections=judge.no_request_failed(kept),
            meanwhile_on_new_connections=judge.no_request_failed(new),
        )
    )

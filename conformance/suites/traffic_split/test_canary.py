"""The specification's canary workflow, from a new version that is not there yet to the old one's retirement.

Each step is made under steady traffic. Counts by backend, which the workflow looks at where a mesh has
metrics, are looked at in `test_canary_metrics.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from conformance.suite import (
    MIN_REQUESTS,
    POLL_REQUESTS,
    POLL_REUSED,
    READY_WITHIN_S,
    Conclude,
    Convergence,
    Effect,
    ExpectedResponders,
    Scenario,
    Traffic,
    classify_poll,
    drives_scenario,
    judge,
    sample_size,
)

pytestmark = pytest.mark.scenario("traffic-split/canary", arena=("main",), groups=("split",))

EVERYBODY = frozenset({"v1", "v2", "v3", "v4", "fresh"})
OLD, QUARTER, NEW = {"v1": 100, "fresh": 0}, {"v1": 75, "fresh": 25}, {"v1": 0, "fresh": 100}
ALL_OF_IT = 1000
STEADY_PER_S = 100.0
"""Of each of two streams. More keep two processors busy by themselves, and pods are started meanwhile."""


@dataclass(frozen=True)
class Step:
    """The effect of a step, and the steady traffic from before it was made until after it was measured."""

    effect: Effect
    during: list[Traffic]


@dataclass(frozen=True)
class Rollout:
    """All steps in their order; ``by_name`` is what the new version got under its own name, at weight 0."""

    reserved: Effect
    created: Step
    by_name: Traffic
    quarter: Step
    whole: Step
    retired: Step
    deleted: tuple[Traffic, Convergence]
    steady: list[Traffic]


@drives_scenario
def rollout(scenario: Scenario) -> Rollout:
    scenario.create_services()
    scenario.apply("stable.yaml")
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    root = scenario.call("main/client", "main/canary", requests=ALL_OF_IT)

    def step(
        change: Callable[[], None], last: Effect, among: set[str], requests: int, *, more_s: float = 0.0
    ) -> Step:
        # For the new version under its own name, for the effect, and for enough steady traffic.
        background_duration_s = scenario.background_duration_s(3, more_s)
        with scenario.background_traffic(
            root, rate_per_s=STEADY_PER_S, duration_s=background_duration_s
        ) as steady:
            change()
            division = ExpectedResponders(
                replace(root, requests=requests),
                frozenset(among),
                frozenset(among) - set(last.sample.answered),
            )
            (effect,) = scenario.sample_once_converged([division], [last.sample], servers)
            # Where all this takes but a moment, too few requests were sent meanwhile to say anything by.
            scenario.wait_for_volume(
                lambda: all(sum(one.counts(servers).values()) > MIN_REQUESTS for one in steady),
                "enough steady traffic was seen",
            )
            return Step(effect, [one.stop(ledgers=servers) for one in steady])

    def create() -> None:
        scenario.apply("2-fresh.yaml")
        scenario.arena.adopt("main/fresh")
        servers.append("main/fresh")
        scenario.wait_for_responders(
            [by_name], lambda _, seen: classify_poll(seen), ["the new version answers to its own name"]
        )

    by_name = scenario.call("main/client", "main/fresh", requests=200)
    (reserved,) = scenario.apply_and_sample(
        [ExpectedResponders(root, frozenset({"v1"}))], "1-before-fresh.yaml", servers=servers
    )
    created = step(create, reserved, {"v1"}, ALL_OF_IT, more_s=READY_WITHIN_S)
    (direct,) = scenario.send(by_name, servers=servers)
    quarter = step(
        lambda: scenario.apply("3-quarter.yaml"), created.effect, {"v1", "fresh"}, sample_size(QUARTER)
    )
    whole = step(lambda: scenario.apply("4-all.yaml"), quarter.effect, {"fresh"}, ALL_OF_IT)

    def retire() -> None:
        scenario.apply("5-only-fresh.yaml")
        scenario.delete("stable.yaml")

    # The old version's last share is the null control: nothing new is to be seen in its retirement.
    retired = step(retire, whole.effect, {"fresh"}, ALL_OF_IT)
    with scenario.background_traffic(
        root, rate_per_s=STEADY_PER_S, duration_s=scenario.background_duration_s(1)
    ) as steady:
        deleted = _deletion(scenario, servers)
        over = [one.stop(ledgers=servers) for one in steady]
    # Other roots select pods by that label as well: the next scenario is not to meet this one.
    scenario.delete("2-fresh.yaml")
    scenario.until(lambda: _gone(scenario), "the new version is gone", within_s=30.0)
    return Rollout(reserved, created, direct, quarter, whole, retired, deleted, over)


def _gone(scenario: Scenario) -> bool:
    pods = scenario.cluster.list("v1", "Pod", scenario.arena.namespace("main"), labels="app=fresh")
    return not pods


def _deletion(scenario: Scenario, servers: list[str]) -> tuple[Traffic, Convergence]:
    root = scenario.call("main/client", "main/canary", requests=200)
    scenario.delete("5-only-fresh.yaml")
    (convergence,), _ = scenario.wait_for_responders(
        [replace(root, requests=POLL_REQUESTS)],
        lambda _, seen: classify_poll(seen, all_of=EVERYBODY),
        ["all pods of the root answer again"],
    )
    (after,) = scenario.driver.send([root], POLL_REUSED, ledgers=servers)
    return after, convergence


@pytest.mark.requirement("split-backend-precreated-zero")
def test_a_backend_that_is_created_later_disturbs_nobody_and_gets_nothing_at_weight_zero(
    rollout: Rollout, verdict: Conclude
) -> None:
    effect = rollout.reserved
    reserved = judge.everything_reaches(effect, "v1")
    created = rollout.created
    verdict(
        judge.all_of(
            before_it_exists=reserved,
            while_it_is_created=judge.within_either_step(
                reserved, created.during, OLD, OLD, effect.convergence
            ),
            once_it_is_there=judge.everything_reaches(
                Effect(effect.baseline, created.effect.sample, created.effect.convergence), "v1"
            ),
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
def test_the_steps_of_a_rollout_arrive_without_a_request_lost_or_gone_astray(
    rollout: Rollout, verdict: Conclude
) -> None:
    reserved, quarter, whole, retired = (
        rollout.reserved,
        rollout.quarter,
        rollout.whole,
        rollout.retired,
    )
    divided = judge.weights_followed(quarter.effect, QUARTER)
    everything = judge.everything_reaches(whole.effect, "fresh")
    after, convergence = rollout.deleted
    kept, new = rollout.steady
    verdict(
        judge.all_of(
            reserved=judge.everything_reaches(reserved, "v1"),
            quarter=divided,
            on_the_way_to_a_quarter=judge.within_either_step(
                divided, quarter.during, OLD, QUARTER, quarter.effect.convergence
            ),
            whole=everything,
            on_the_way_to_all=judge.within_either_step(
                everything, whole.during, QUARTER, NEW, whole.effect.convergence
            ),
            retirement=judge.preserved(everything, [*retired.during, retired.effect.sample], "fresh"),
            only_the_new_version=judge.everything_reaches(
                Effect(whole.effect.baseline, retired.effect.sample, retired.effect.convergence), "fresh"
            ),
            deletion=judge.root_routing_restored(
                Effect(retired.effect.sample, after, convergence), sorted(EVERYBODY)
            ),
            meanwhile_on_kept_connections=judge.no_request_failed(kept),
            meanwhile_on_new_connections=judge.no_request_failed(new),
        )
    )

"""Whatever the weights are, of one to five backends: requests are divided in proportion to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import strategies

from conformance.suite import (
    MIN_REQUESTS,
    POLL_REQUESTS,
    Call,
    Conclude,
    Effect,
    ExpectedResponders,
    PropertyResult,
    Scenario,
    Traffic,
    Verdict,
    check_property,
    classify_poll,
    drives_scenario,
    judge,
    sample_size,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/drawn-weights",
    arena=("main",),
    groups=("split",),
)

BACKENDS = ("v2", "v3", "v4", "fifth", "sixth")
SERVERS = [f"main/{name}" for name in ("v1", *BACKENDS)]
FIVE = {"v2": 1, "v3": 2, "v4": 3, "fifth": 4, "sixth": 5}
DRAWN = 3
TRIALS = DRAWN + 1
"""One with five backends, and those that are drawn; they share what one sample may err."""


def vectors() -> strategies.SearchStrategy[dict[str, int]]:
    """Weights of one to five backends, of which one at least has some."""
    lists = strategies.lists(strategies.integers(0, 5), min_size=1, max_size=len(BACKENDS))
    return lists.filter(any).map(lambda weights: dict(zip(BACKENDS, weights, strict=False)))


def holder(weights: Mapping[str, int]) -> str:
    """Which backend has everything before these weights: one that is to have half of it at most.

    What is seen before is of few connections: where most stays as it is it may look like the split itself.
    """
    return "v2" if 2 * weights.get("sixth", 0) > sum(weights.values()) else "sixth"


@drives_scenario
def drawn(scenario: Scenario) -> PropertyResult[dict[str, int], Effect]:
    scenario.create_services()
    scenario.apply("more.yaml")
    for one in ("fifth", "sixth"):
        scenario.arena.adopt(f"main/{one}")

    def trial(weights: dict[str, int]) -> Effect:
        size = max(sample_size(weights, TRIALS), MIN_REQUESTS)
        call = scenario.call("main/client", "main/drawn", requests=size)
        first = holder(weights)
        baseline = _everything_to(first, scenario, call)
        _divide(scenario, weights)
        among = frozenset(name for name, weight in weights.items() if weight)
        (effect,) = scenario.sample_once_converged(
            [ExpectedResponders(call, among, among - {first})], [baseline], SERVERS
        )
        return effect

    def holds(weights: dict[str, int], effect: Effect) -> bool:
        return (
            judge.weights_followed(effect, weights, samples_sharing_alpha=TRIALS).verdict is not Verdict.FAIL
        )

    return check_property(vectors(), trial, holds, first=FIVE, number=DRAWN, start=scenario.seed)


def _everything_to(first: str, scenario: Scenario, call: Call) -> Traffic:
    """What is seen before a draw: only where it differs can be seen that the next weights are in force."""
    _divide(scenario, {first: 1})
    poll = replace(call, requests=POLL_REQUESTS)
    _, (baseline,) = scenario.wait_for_responders(
        [poll], lambda _, seen: classify_poll(seen, only={first}), [f"only {first} answers"], SERVERS
    )
    return baseline


def _divide(scenario: Scenario, weights: Mapping[str, int]) -> None:
    (split,) = scenario.objects("split.yaml")
    listed = [{"service": name, "weight": weight} for name, weight in weights.items()]
    scenario.apply_objects([{**split, "spec": {**split["spec"], "backends": listed}}])


@pytest.mark.requirement("split-weighted-distribution")
def test_drawn_weights_of_one_to_five_backends_are_followed(
    drawn: PropertyResult[dict[str, int], Effect], verdict: Conclude
) -> None:
    # Of weights that are not followed the simplest is shown that was found.
    shown = [drawn.broken] if drawn.broken else drawn.tried
    verdict(
        judge.all_of(
            **{
                _in_words(weights): judge.weights_followed(effect, weights, samples_sharing_alpha=TRIALS)
                for weights, effect in shown
            }
        )
    )


def _in_words(weights: Mapping[str, int]) -> str:
    return "weights_" + "_".join(str(weight) for weight in weights.values())

"""Requests are divided in proportion to any weights of one to five backends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import strategies

from conformance.suite import (
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
"""A trial with five backends and the drawn ones; they share the error rate of one sample."""


def vectors() -> strategies.SearchStrategy[dict[str, int]]:
    """Weights of one to five backends, not all zero."""
    lists = strategies.lists(strategies.integers(0, 5), min_size=1, max_size=len(BACKENDS))
    return lists.filter(any).map(lambda weights: dict(zip(BACKENDS, weights, strict=False)))


def former_backend(weights: Mapping[str, int]) -> str:
    """The backend that gets all requests before these weights, which give it half at most.

    The baseline has few connections: if most of its requests stayed there, it could look like the new split.
    """
    return "v2" if 2 * weights.get("sixth", 0) > sum(weights.values()) else "sixth"


@drives_scenario
def drawn(scenario: Scenario) -> PropertyResult[dict[str, int], Effect]:
    scenario.create_services()
    scenario.apply("more.yaml")
    for one in ("fifth", "sixth"):
        scenario.arena.adopt(f"main/{one}")

    def trial(weights: dict[str, int]) -> Effect:
        call = scenario.call("main/client", "main/drawn")
        first = former_backend(weights)
        baseline = _apply_sole_backend(first, scenario, call)
        _apply_weights(scenario, weights)
        new = frozenset(name for name, weight in weights.items() if weight) - {first}
        wanted = ExpectedResponders.by_weight(call, weights, must_appear=new, samples_sharing_alpha=TRIALS)
        (effect,) = scenario.sample_once_converged([wanted], [baseline], SERVERS)
        return effect

    def holds(weights: dict[str, int], effect: Effect) -> bool:
        return (
            judge.weights_followed(effect, weights, samples_sharing_alpha=TRIALS).verdict is not Verdict.FAIL
        )

    return check_property(vectors(), trial, holds, first=FIVE, number=DRAWN, start=scenario.seed)


def _apply_sole_backend(first: str, scenario: Scenario, call: Call) -> Traffic:
    """The baseline of a draw, which must differ from the new weights for these to show."""
    _apply_weights(scenario, {first: 1})
    poll = replace(call, requests=POLL_REQUESTS)
    _, (baseline,) = scenario.wait_for_responders(
        [poll], lambda _, seen: classify_poll(seen, only={first}), [f"only {first} answers"], SERVERS
    )
    return baseline


def _apply_weights(scenario: Scenario, weights: Mapping[str, int]) -> None:
    (split,) = scenario.objects("split.yaml")
    listed = [{"service": name, "weight": weight} for name, weight in weights.items()]
    scenario.apply_objects([{**split, "spec": {**split["spec"], "backends": listed}}])


@pytest.mark.requirement("split-weighted-distribution")
def test_any_weights_of_one_to_five_backends_are_followed(
    drawn: PropertyResult[dict[str, int], Effect], verdict: Conclude
) -> None:
    # On failure the report shows the simplest weights found that are not followed.
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

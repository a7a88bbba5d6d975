"""Weights of v1alpha1 are quantities on one scale, with a suffix or without."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario("traffic-split/quantity-weights", arena=("main",), groups=("split",))

TWO_TO_ONE = {"v2": 2, "v3": 1}
"""1 next to 500m."""
RESTING = 2000


@drives_scenario
def steps(scenario: Scenario) -> tuple[Effect, Effect]:
    scenario.create_services()
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    root = scenario.call("main/client", "main/graded", requests=RESTING)
    graded = ExpectedResponders.by_weight(root, TWO_TO_ONE)
    (half,) = scenario.apply_and_sample([graded], "v1alpha1-1-half.yaml", servers=servers)
    scenario.apply("v1alpha1-2-nothing.yaml")
    resting = ExpectedResponders(root, frozenset({"v2"}))
    (nothing,) = scenario.sample_once_converged([resting], [half.sample], servers)
    return half, nothing


@pytest.mark.requirement("split-v1alpha1-quantity-weights")
def test_weights_1_and_500m_mean_two_to_one(steps: tuple[Effect, Effect], verdict: Conclude) -> None:
    verdict(judge.weights_followed(steps[0], TWO_TO_ONE))


@pytest.mark.requirement("split-v1alpha1-quantity-weights")
def test_weight_0m_means_no_requests(steps: tuple[Effect, Effect], verdict: Conclude) -> None:
    verdict(judge.nothing_reaches(steps[1], "v3"))

"""Splits whose weights are all zero, fractional, or negative."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Conclude,
    Prior,
    Scenario,
    SplitTrials,
    TrialRegister,
    answered,
    drives_scenario,
    finding,
    judge,
    refused,
    unanswered,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/odd-splits-weights", arena=("main",), groups=("split",), alone=True
)

ROOT = "v1"
trials = TrialRegister(
    ["main/v1", "main/v2", "main/v3"], {"client": "main/client", "baseline_responders": (ROOT,)}
)


@drives_scenario
def seen(scenario: Scenario) -> SplitTrials:
    scenario.create_services()
    return trials.run_beside_split(
        scenario,
        scenario.call("main/client", "main/steady-weights", requests=300),
        {"v2": "1-steady.yaml", "v3": "3-steady.yaml"},
        lambda effect: judge.everything_reaches(effect, "v2"),
        files=["2-odd.yaml"],
        earlier_files=["1-former.yaml"],
        late_files=["4-late.yaml"],
    )


IN_FORCE = Prior(responders=("v2",))
ZEROS = trials.declare(
    "zeros",
    "all weights zero",
    (unanswered("a"), answered("b", ROOT), answered("c", "v2", "v3"), refused("d")),
    prior=IN_FORCE,
    sample_before_late_files=True,
    isolated=True,
)
WEIGHTLESS = trials.declare(
    "weightless",
    "a lone backend of weight zero",
    (unanswered("a"), answered("b", ROOT), answered("c", "v2"), refused("d")),
    isolated=True,
)
NEVER_EDITED = "what is edited after the zeros never takes effect"
ZEROS_EDITED = trials.declare(
    "zeros edited",
    "weights after all were zero",
    (
        answered("a", "v3"),
        answered("b", "v2", finding="the split as it was before the zeros stays in force"),
        answered("b", ROOT, finding=NEVER_EDITED),
        answered("b", "v2", "v3", finding=NEVER_EDITED),
        unanswered("b", NEVER_EDITED),
    ),
    split="zeros",
    object_name="",
    other_objects=("zeros",),
    prior=IN_FORCE,
    must_appear=("v3",),
    must_disappear=("v2",),
    isolated=True,
)


@pytest.mark.requirement("split-all-weights-zero")
def test_a_split_whose_weights_are_all_zero_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(ZEROS, WEIGHTLESS, ZEROS_EDITED))


HALVES = trials.declare(
    "halves",
    "weight of a half",
    (refused("a"), answered("b", ROOT), answered("c", "v2", "v3")),
    isolated=True,
)
MINUS = trials.declare(
    "minus",
    "negative weight",
    (refused("a"), answered("b", ROOT), answered("c", "v3")),
    findings=[
        finding("a negative weight draws all traffic", "v2"),
        finding("a negative weight draws traffic", "v2", "v3"),
    ],
    isolated=True,
)


@pytest.mark.requirement("split-weight-fraction-or-negative")
def test_a_fractional_or_negative_weight_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(HALVES, MINUS))

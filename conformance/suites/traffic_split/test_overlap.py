"""A root may select its backends' pods too: its split takes precedence."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import (
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/overlap",
    arena=("main",),
    groups=("split",),
    presumes=("split-weighted-distribution", "common-dynamic-reconfiguration"),
)


MADE, EDITED = {"v1": 75, "v2": 25}, {"v2": 25, "v3": 75}


@dataclass(frozen=True)
class Shared:
    """The effect of a split between two of the versions that its root selects, and of its edit."""

    made: Effect
    edited: Effect


@drives_scenario
def shared(scenario: Scenario) -> Shared:
    scenario.create_services()
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    root = scenario.call("main/client", "main/everyone")
    (made,) = scenario.apply_and_sample(
        [ExpectedResponders.by_weight(root, MADE)], "1-split.yaml", servers=servers
    )
    # The responders must change: an edit of weights alone would show only in a sample.
    scenario.apply("2-edited.yaml")
    (edited,) = scenario.sample_once_converged(
        [ExpectedResponders.by_weight(root, EDITED)], [made.sample], servers
    )
    return Shared(made, edited)


@pytest.mark.requirement("split-overlapping-selectors")
def test_the_backends_share_by_weight_although_the_root_selects_all_versions(
    shared: Shared, verdict: Conclude
) -> None:
    made, edited = shared.made, shared.edited
    verdict(
        judge.all_of(
            made=judge.weights_followed(made, MADE),
            edited=judge.weights_followed(edited, EDITED),
        )
    )

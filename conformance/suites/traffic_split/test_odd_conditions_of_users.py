"""Splits for some users whose meaning the specification leaves open, its own examples among them."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.suite import (
    Conclude,
    Scenario,
    SplitTrials,
    TrialRegister,
    answered,
    drives_scenario,
    finding,
    judge,
    refused,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/odd-conditions-of-users", arena=("main",), groups=("split", "specs"), alone=True
)

ROOT = "v1"
FOR_ALL = "the split is for everybody"
trials = TrialRegister(
    ["main/v1", "main/v2", "main/v3"], {"client": "main/client", "baseline_responders": (ROOT,)}
)


@drives_scenario
def seen(scenario: Scenario) -> SplitTrials:
    scenario.create_services()
    return trials.run_beside_split(
        scenario,
        scenario.call("main/client", "main/conditioned-users", requests=200, headers={"x-steady": "yes"}),
        {"v2": "1-steady.yaml", "v3": "3-steady.yaml"},
        lambda effect: judge.nothing_reaches(effect, ROOT),
        files=["2-odd.yaml", "2-examples.yaml"],
        malformed_files=[("2-malformed.yaml", matches_at_top)],
    )


DISJOINT = "two splits of one root with disjoint matches"
SWAPPED = "a split takes the users of the other"
two_splits = trials.with_defaults(
    service="main/apart",
    object_name="apart-2",
    other_objects=("apart-1", "first-users", "second-users"),
)
FIRST_USERS = two_splits.declare(
    "users of the first",
    DISJOINT,
    (answered("ca", "v2"), answered("e", ROOT), answered("b", "v2", "v3"), refused("d")),
    findings=[finding(SWAPPED, "v3")],
    headers={"x-users": "first"},
)
SECOND_USERS = two_splits.declare(
    "users of the second",
    DISJOINT,
    (answered("ce", "v3"), answered("a", ROOT), answered("b", "v2", "v3"), refused("d")),
    findings=[finding(SWAPPED, "v2")],
    headers={"x-users": "second"},
)
OTHER_USERS = two_splits.declare(
    "users of neither",
    "users of neither of two splits",
    (
        answered("a", ROOT),
        refused("a"),
        *(answered("b", *by, finding=FOR_ALL) for by in (("v2",), ("v3",), ("v2", "v3"))),
    ),
)


@pytest.mark.requirement("split-two-splits-one-root")
def test_two_splits_for_different_users_follow_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(FIRST_USERS, SECOND_USERS, OTHER_USERS))


RAW_TCP = trials.declare(
    "raw TCP",
    "raw TCP to a root whose split has matches",
    (answered("a", ROOT), answered("b", "v2")),
    findings=[finding("raw TCP gets nowhere")],
    split="raw",
    other_objects=("first-users",),
    carried="tcp",
    protocol="tcp",
    port=9000,
)


@pytest.mark.requirement("split-unit-of-division")
def test_raw_tcp_under_a_split_with_matches_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    if not seen.select(RAW_TCP):
        verdict(judge.not_claimed("the mesh does not carry raw TCP (protocols)"))
        return
    verdict(seen.reading(RAW_TCP))


AT_TOP = "matches of the A/B example at top level"


def matches_at_top(group: dict[str, Any]) -> dict[str, Any]:
    """A group in the shape of specs v1alpha2, as in the specification's example."""
    return {**{key: value for key, value in group.items() if key != "spec"}, **group["spec"]}


FIREFOX = trials.declare(
    "Firefox",
    AT_TOP,
    (answered("a", ROOT), refused("a"), answered("b", "v2")),
    split="ab-example",
    isolated=True,
    headers={"user-agent": "Mozilla Firefox 1"},
)
OTHER_BROWSER = trials.declare(
    "another browser",
    AT_TOP,
    (answered("ab", ROOT), refused("a")),
    findings=[finding(FOR_ALL, "v2")],
    split="ab-example",
    isolated=True,
    headers={"user-agent": "Mozilla Chrome 1"},
)
NINETY_TO_TEN = trials.declare(
    "90 to 10",
    "shares of the canary example",
    (
        *(answered("a", *by, majority="v2") for by in (("v2",), ("v2", "v3"))),
        *(answered("b", *by, majority="v3") for by in (("v3",), ("v2", "v3"))),
    ),
    split="canary-example",
)


@pytest.mark.requirement("split-example-errata")
def test_examples_that_contradict_the_specification_follow_a_reading(
    seen: SplitTrials, verdict: Conclude
) -> None:
    verdict(seen.reading(NINETY_TO_TEN, FIREFOX, OTHER_BROWSER))

"""Splits whose meaning the specification leaves open: incomplete, contradictory, or two of one root."""

from __future__ import annotations

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
    same_or_changed,
    unanswered,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/odd-splits", arena=("main", "metrics"), groups=("split",), alone=True
)

ROOT = "v1"
trials = TrialRegister(
    ["main/v1", "main/v2", "main/v3", "main/v4", "metrics/server"],
    {"client": "main/client", "baseline_responders": (ROOT,)},
)


@drives_scenario
def seen(scenario: Scenario) -> SplitTrials:
    scenario.create_services()
    found = trials.run_beside_split(
        scenario,
        scenario.call("main/client", "main/steady", requests=300),
        {"v2": "1-steady.yaml", "v3": "3-steady.yaml"},
        lambda effect: judge.everything_reaches(effect, "v2"),
        files=["2-odd.yaml"],
    )
    first = found.by_name[TWICE.name].sample
    after = (refused("d"),) if first is None else same_or_changed(first, COMBINATIONS, CHANGED)
    return found.with_looks(AFTER_EDIT, after)


BARE = trials.declare(
    "bare", "no backends", (answered("a", ROOT), unanswered("b"), refused("c")), isolated=True
)
CUT_OFF = unanswered("b", "the service of the split's own name is cut off")
SPECLESS = trials.declare("specless", "no spec", (answered("a", ROOT), refused("c"), CUT_OFF), isolated=True)
NAMELESS = trials.declare(
    "nameless",
    "no root",
    (answered("a", ROOT), refused("c"), CUT_OFF),
    findings=[finding("the service of the split's own name is split", "v2")],
    isolated=True,
)
DOUBLED = trials.declare(
    "doubled", "a backend listed twice", (answered("a", "v2", "v3"), answered("b", "v3"), refused("c"))
)


@pytest.mark.requirement("split-degenerate-spec")
def test_an_incomplete_or_repetitive_split_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(BARE, SPECLESS, NAMELESS, DOUBLED))


OWN = trials.declare(
    "own",
    "the root among its backends",
    (refused("a"), answered("b", "v3"), answered("b", "v4"), answered("c", "v3", "v4")),
    findings=[
        finding("requests of the root do not finish"),
        finding("the root's own share does not finish", "v3", failing=True),
    ],
    baseline_responders=("v4",),
    isolated=True,
)


@pytest.mark.requirement("split-self-reference")
def test_a_split_with_its_root_as_a_backend_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(OWN))


IGNORED = (answered("a", ROOT), answered("a", "v3"), answered("a", "v3", failing=True))
ABROAD = trials.declare(
    "abroad",
    "backend of another namespace",
    (refused("a"), *IGNORED, answered("b", "server", "v3")),
    findings=[finding("the service of that name in the split's own namespace is reached", "v2", "v3")],
    isolated=True,
)


@pytest.mark.requirement("split-cross-namespace-backends")
def test_a_backend_of_another_namespace_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(ABROAD))


INCLUDED_OR_NOT = (answered("a", "v2", "v3"), answered("b", "v3"))
RENAMED = trials.declare("renamed", "same number, another name", INCLUDED_OR_NOT)
PARTIAL = trials.declare("partial", "backend with some of the root's ports", INCLUDED_OR_NOT)


@pytest.mark.requirement("split-port-matching-details")
def test_a_backend_whose_ports_match_in_part_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(RENAMED, PARTIAL))


two_splits = trials.with_defaults(service="main/twice", object_name="twice-2", other_objects=("twice-1",))
TWICE = two_splits.declare(
    "twice",
    "two splits of one root",
    (answered("a", "v2"), answered("a", "v3"), answered("b", "v2", "v3"), refused("d")),
)
AFTER_EDIT = two_splits.declare(
    "twice, after an edit",
    "two splits of one root, after an unrelated edit",
    TWICE.looks,
    after_another_edit=True,
)
COMBINATIONS = (("v2",), ("v3",), ("v2", "v3"), (ROOT,), ())
CHANGED = "what counts of two splits of one root changes with an edit of a third one"


@pytest.mark.requirement("split-two-splits-one-root")
def test_two_splits_of_one_root_follow_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(TWICE, AFTER_EDIT))

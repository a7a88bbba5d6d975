"""Splits with matches that the specification leaves open: paths, missing groups, other namespaces."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Conclude,
    Scenario,
    SplitTrials,
    TrialRegister,
    answered,
    drives_scenario,
    judge,
    refused,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/odd-conditions", arena=("main", "metrics"), groups=("split", "specs"), alone=True
)

ROOT, BACKEND = "v1", "v2"
FOR_ALL = "the split is for everybody"
BETA, FAR = {"x-beta": "yes"}, {"x-side": "far"}
trials = TrialRegister(
    ["main/v1", "main/v2", "main/v3"], {"client": "main/client", "baseline_responders": (ROOT,)}
)


@drives_scenario
def seen(scenario: Scenario) -> SplitTrials:
    scenario.create_services()
    return trials.run_beside_split(
        scenario,
        scenario.call("main/client", "main/conditioned", requests=200, headers={"x-steady": "yes"}),
        {"v2": "1-steady.yaml", "v3": "3-steady.yaml"},
        lambda effect: judge.nothing_reaches(effect, ROOT),
        files=["2-odd.yaml"],
        late_files=["4-late.yaml"],
    )


OTHER_PATH = trials.declare(
    "header on another path",
    "path of a match with headers",
    (answered("a", ROOT), answered("b", BACKEND)),
    split="whole-match",
    other_objects=("path-and-header",),
    path="/other",
    headers=BETA,
)
OTHER_METHOD = trials.declare(
    "method that is not listed",
    "methods of a match with headers",
    (answered("a", ROOT), answered("b", BACKEND)),
    split="whole-match",
    other_objects=("path-and-header",),
    method="POST",
    path="/beta/x",
    headers=BETA,
)
PATH_ALONE = trials.declare(
    "path alone",
    "match without headers",
    (answered("a", BACKEND), answered("c", ROOT), refused("c")),
    split="path-match",
    other_objects=("path-without-header",),
    path="/beta/x",
)
NO_MATCH = trials.declare(
    "another path",
    "what a match without headers does not match",
    (answered("a", ROOT), refused("a"), answered("b", BACKEND, finding=FOR_ALL)),
    split="path-match",
    other_objects=("path-without-header",),
    path="/other",
)
METHOD_ALONE = trials.declare(
    "another method",
    "methods of a match without headers",
    (answered("a", ROOT), refused("a"), answered("b", BACKEND)),
    split="path-match",
    other_objects=("path-without-header",),
    method="POST",
    path="/beta/x",
)


@pytest.mark.requirement("split-matches-path-and-method")
def test_path_and_methods_of_a_match_follow_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(OTHER_PATH, OTHER_METHOD, PATH_ALONE, NO_MATCH, METHOD_ALONE))


MISSING = trials.declare(
    "dangling",
    "group that does not exist",
    (answered("a", ROOT), answered("b", BACKEND, finding=FOR_ALL), refused("c")),
)
EMPTY = trials.declare(
    "no matches",
    "an empty list of matches",
    (answered("a", BACKEND), answered("b", ROOT), refused("c")),
    split="no-matches",
)
LATE = trials.declare(
    "awaited",
    "group that is made after its split",
    (answered("a", BACKEND), answered("b", ROOT, finding="the group is never taken up")),
    other_objects=("later",),
    must_appear=(BACKEND,),
    headers=BETA,
)


@pytest.mark.requirement("split-matches-missing-or-empty")
def test_a_split_without_an_existing_group_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(MISSING, EMPTY, LATE))


ELSEWHERE = trials.declare(
    "elsewhere",
    "group of another namespace",
    (answered("a", ROOT), refused("a"), answered("b", BACKEND)),
    split="foreign",
    other_objects=("elsewhere",),
    headers=FAR,
)
NAMESAKE = trials.declare(
    "namesake",
    "namesake of a group in another namespace",
    (answered("a", ROOT), answered("b", BACKEND)),
    split="namesakes",
    other_objects=("namesake",),
    headers=FAR,
)


@pytest.mark.requirement("split-matches-group-namespace")
def test_the_namespace_of_a_group_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(ELSEWHERE, NAMESAKE))

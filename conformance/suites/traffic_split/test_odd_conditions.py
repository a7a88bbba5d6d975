"""What becomes of splits whose conditions the specification leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from conformance.suite import (
    REQUESTS,
    Behaviour,
    Call,
    Conclude,
    Effect,
    ExpectedResponders,
    Judgement,
    Scenario,
    Trial,
    TrialPlan,
    TrialResults,
    drives_scenario,
    judge,
    observe,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/odd-conditions", arena=("main", "metrics"), groups=("split", "specs"), alone=True
)

SERVERS = ["main/v1", "main/v2", "main/v3"]
ROOT, TAKEN = ("v1",), ("v2",)
BETA = {"x-beta": "yes"}
EVERYBODY = "the split is for everybody"
APART = "two splits of one root with disjoint matches"
SWAPPED = "a split takes the users of the other"
AT_TOP = "matches of the A/B example at top level"

TRIALS: Mapping[str, tuple[str, str, dict[str, Any], tuple[Behaviour, ...]]] = {
    "header on another path": (
        "whole-match",
        "path of a match with headers",
        {"path": "/other", "headers": BETA},
        (Behaviour("a", ROOT), Behaviour("b", TAKEN)),
    ),
    "method that is not listed": (
        "whole-match",
        "methods of a match with headers",
        {"path": "/beta/x", "method": "POST", "headers": BETA},
        (Behaviour("a", ROOT), Behaviour("b", TAKEN)),
    ),
    "path alone": (
        "path-match",
        "match without headers",
        {"path": "/beta/x"},
        (Behaviour("a", TAKEN), Behaviour("c", ROOT), Behaviour("c", refused=True)),
    ),
    "another path": (
        "path-match",
        "what a match without headers does not match",
        {"path": "/other"},
        (Behaviour("a", ROOT), Behaviour("a", refused=True), Behaviour("b", TAKEN, finding=EVERYBODY)),
    ),
    "another method": (
        "path-match",
        "methods of a match without headers",
        {"path": "/beta/x", "method": "POST"},
        (Behaviour("a", ROOT), Behaviour("a", refused=True), Behaviour("b", TAKEN)),
    ),
    "dangling": (
        "dangling",
        "group that does not exist",
        {},
        (Behaviour("a", ROOT), Behaviour("b", TAKEN, finding=EVERYBODY), Behaviour("c", refused=True)),
    ),
    "no matches": (
        "no-matches",
        "an empty list of matches",
        {},
        (Behaviour("a", TAKEN), Behaviour("b", ROOT), Behaviour("c", refused=True)),
    ),
    "awaited": (
        "awaited",
        "group that is made after its split",
        {"headers": BETA},
        (Behaviour("a", TAKEN), Behaviour("b", ROOT, finding="the group is never taken up")),
    ),
    "elsewhere": (
        "foreign",
        "group of another namespace",
        {"headers": {"x-side": "far"}},
        (Behaviour("a", ROOT), Behaviour("a", refused=True), Behaviour("b", TAKEN)),
    ),
    "namesake": (
        "namesakes",
        "namesake of a group in another namespace",
        {"headers": {"x-side": "far"}},
        (Behaviour("a", ROOT), Behaviour("b", TAKEN)),
    ),
    "users of the first": (
        "apart",
        APART,
        {"headers": {"x-users": "first"}},
        (
            Behaviour("ca", TAKEN),
            Behaviour("e", ROOT),
            Behaviour("b", ("v2", "v3")),
            Behaviour("d", refused=True),
            Behaviour("", ("v3",), finding=SWAPPED),
        ),
    ),
    "users of the second": (
        "apart",
        APART,
        {"headers": {"x-users": "second"}},
        (
            Behaviour("ce", ("v3",)),
            Behaviour("a", ROOT),
            Behaviour("b", ("v2", "v3")),
            Behaviour("d", refused=True),
            Behaviour("", TAKEN, finding=SWAPPED),
        ),
    ),
    "users of neither": (
        "apart",
        "users of neither of two splits",
        {},
        (
            Behaviour("a", ROOT),
            Behaviour("a", refused=True),
            *(Behaviour("b", by, finding=EVERYBODY) for by in (TAKEN, ("v3",), ("v2", "v3"))),
        ),
    ),
    "raw TCP": (
        "raw",
        "raw TCP to a root whose split has matches",
        {"protocol": "tcp", "port": 9000},
        (Behaviour("a", ROOT), Behaviour("b", TAKEN), Behaviour("", (), finding="raw TCP gets nowhere")),
    ),
    "Firefox": (
        "ab-example",
        AT_TOP,
        {"headers": {"user-agent": "Mozilla Firefox 1"}},
        (Behaviour("a", ROOT), Behaviour("a", refused=True), Behaviour("b", TAKEN)),
    ),
    "another browser": (
        "ab-example",
        AT_TOP,
        {"headers": {"user-agent": "Mozilla Chrome 1"}},
        (Behaviour("ab", ROOT), Behaviour("a", refused=True), Behaviour("", TAKEN, finding=EVERYBODY)),
    ),
    "90 to 10": (
        "canary-example",
        "shares of the canary example",
        {},
        (
            *(Behaviour("a", by, majority="v2") for by in (("v2",), ("v2", "v3"))),
            *(Behaviour("b", by, majority="v3") for by in (("v3",), ("v2", "v3"))),
        ),
    ),
}
"""By trial: the root, the question, what is sent, and how the readings look."""
EXAMPLES = ("90 to 10", "Firefox", "another browser")
ABOUT = {"apart": "apart-2"}
BESIDE = {
    "whole-match": ("path-and-header",),
    "path-match": ("path-without-header",),
    "awaited": ("later",),
    "foreign": ("elsewhere",),
    "namesakes": ("namesake",),
    "apart": ("apart-1", "first-users", "second-users"),
    "raw": ("first-users",),
}
"""By root: the other objects that its trials take."""
PATHS = (
    "header on another path",
    "method that is not listed",
    "path alone",
    "another path",
    "another method",
)


def at_top(group: dict[str, Any]) -> dict[str, Any]:
    """A group with its body where specs v1alpha2 had it, as in the specification's example."""
    return {**{key: value for key, value in group.items() if key != "spec"}, **group["spec"]}


@drives_scenario
def seen(scenario: Scenario) -> TrialResults[Effect]:
    def call(root: str, requests: int = REQUESTS, **what: Any) -> Call:
        return scenario.call("main/client", f"main/{root}", requests=requests, **what)

    def steady(server: str) -> ExpectedResponders:
        return ExpectedResponders(call("conditioned", 200, headers={"x-steady": "yes"}), frozenset({server}))

    scenario.create_services()
    trials = [
        Trial(
            name,
            of,
            call(root, **what),
            looks,
            ROOT,
            ABOUT.get(root, root),
            TAKEN if root == "awaited" else (),
            beside=BESIDE.get(root, ()),
            apart=root == "ab-example",
        )
        for name, (root, of, what, looks) in TRIALS.items()
        if scenario.carries(what.get("protocol", "http"))
    ]
    odd = TrialPlan(
        trials,
        ["2-odd.yaml", "2-examples.yaml"],
        SERVERS,
        late=["4-late.yaml"],
        malformed=[("2-misshapen.yaml", at_top)],
    )
    return observe(scenario, odd, (steady("v2"), "1-steady.yaml"), (steady("v3"), "3-steady.yaml"))


def reading(seen: TrialResults[Effect], *names: str) -> Judgement:
    """Which readings the trials of these names show, beside the effect that was in force."""
    effect = judge.nothing_reaches(seen.effect, "v1")
    return judge.reading(effect, seen.select(*names), effect)


@pytest.mark.requirement("split-matches-path-and-method")
def test_what_of_a_match_a_split_looks_at(seen: TrialResults[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, *PATHS))


@pytest.mark.requirement("split-matches-missing-or-empty")
def test_what_becomes_of_a_split_without_a_group_that_there_is(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "dangling", "no matches", "awaited"))


@pytest.mark.requirement("split-matches-group-namespace")
def test_in_which_namespaces_a_group_is_looked_up(seen: TrialResults[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, "elsewhere", "namesake"))


@pytest.mark.requirement("split-example-errata")
def test_what_becomes_of_the_examples_that_contradict_the_rest(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, *EXAMPLES))


@pytest.mark.requirement("split-two-splits-one-root")
def test_what_becomes_of_two_splits_for_different_users(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "users of the first", "users of the second", "users of neither"))


@pytest.mark.requirement("split-unit-of-division")
def test_where_raw_tcp_goes_that_has_nothing_to_match(seen: TrialResults[Effect], verdict: Conclude) -> None:
    if "raw TCP" not in seen.questions:
        verdict(judge.not_claimed("the mesh does not carry raw TCP (protocols)"))
        return
    verdict(reading(seen, "raw TCP"))

"""What becomes of splits whose conditions the specification leaves open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from conformance import judge
from conformance.drive.observing import REQUESTS, Observed, Odd, Trial, observe
from conformance.drive.scenario import Division, Effect, Scenario
from conformance.evidence import Call, Look
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-split/odd-conditions", arena=("main", "metrics"), groups=("split", "specs"), alone=True
)

SERVERS = ["main/v1", "main/v2", "main/v3"]
ROOT, TAKEN = ("v1",), ("v2",)
BETA = {"x-beta": "yes"}
EVERYBODY = "the split is for everybody"
AT_TOP = "matches of the A/B example at top level"

TRIALS: Mapping[str, tuple[str, str, dict[str, Any], tuple[Look, ...]]] = {
    "header on another path": (
        "whole-match",
        "path of a match with headers",
        {"path": "/other", "headers": BETA},
        (Look("a", ROOT), Look("b", TAKEN)),
    ),
    "path alone": (
        "path-match",
        "match without headers",
        {"path": "/beta/x"},
        (Look("a", TAKEN), Look("c", ROOT), Look("c", refused=True)),
    ),
    "another path": (
        "path-match",
        "what a match without headers does not match",
        {"path": "/other"},
        (Look("a", ROOT), Look("a", refused=True), Look("b", TAKEN, finding=EVERYBODY)),
    ),
    "dangling": (
        "dangling",
        "group that does not exist",
        {},
        (Look("a", ROOT), Look("b", TAKEN, finding=EVERYBODY), Look("c", refused=True)),
    ),
    "no matches": (
        "no-matches",
        "an empty list of matches",
        {},
        (Look("a", TAKEN), Look("b", ROOT), Look("c", refused=True)),
    ),
    "awaited": (
        "awaited",
        "group that is made after its split",
        {"headers": BETA},
        (Look("a", TAKEN), Look("b", ROOT, finding="the group is never taken up")),
    ),
    "elsewhere": (
        "foreign",
        "group of another namespace",
        {"headers": {"x-side": "there"}},
        (Look("a", ROOT), Look("a", refused=True), Look("b", TAKEN)),
    ),
    "namesake": (
        "namesakes",
        "namesake of a group in another namespace",
        {"headers": {"x-side": "there"}},
        (Look("a", ROOT), Look("b", TAKEN)),
    ),
    "Firefox": (
        "ab-example",
        AT_TOP,
        {"headers": {"user-agent": "Mozilla Firefox 1"}},
        (Look("a", ROOT), Look("a", refused=True), Look("b", TAKEN)),
    ),
    "another browser": (
        "ab-example",
        AT_TOP,
        {"headers": {"user-agent": "Mozilla Chrome 1"}},
        (Look("ab", ROOT), Look("a", refused=True), Look("", TAKEN, finding=EVERYBODY)),
    ),
    "90 to 10": (
        "canary-example",
        "shares of the canary example",
        {},
        (
            *(Look("a", by, most="v2") for by in (("v2",), ("v2", "v3"))),
            *(Look("b", by, most="v3") for by in (("v3",), ("v2", "v3"))),
        ),
    ),
}
"""By trial: the root, the question, what is sent, and how the readings look."""
EXAMPLES = ("90 to 10", "Firefox", "another browser")
PATHS = ("header on another path", "path alone", "another path")


def at_top(group: dict[str, Any]) -> dict[str, Any]:
    """A group with its body where specs v1alpha2 had it, as in the specification's example."""
    return {**{key: value for key, value in group.items() if key != "spec"}, **group["spec"]}


@driven
def seen(scenario: Scenario) -> Observed[Effect]:
    def call(root: str, requests: int = REQUESTS, **what: Any) -> Call:
        return scenario.call("main/client", f"main/{root}", requests=requests, **what)

    def steady(server: str) -> Division:
        return Division(call("conditioned", 200, headers={"x-steady": "yes"}), frozenset({server}))

    scenario.provide()
    trials = [
        Trial(name, of, call(root, **what), looks, ROOT, about=root, awaited=root == "awaited")
        for name, (root, of, what, looks) in TRIALS.items()
    ]
    odd = Odd(
        trials,
        ["2-odd.yaml", "2-examples.yaml"],
        SERVERS,
        late=["4-late.yaml"],
        misshapen=[("2-misshapen.yaml", at_top)],
    )
    return observe(scenario, odd, (steady("v2"), "1-steady.yaml"), (steady("v3"), "3-steady.yaml"))


def unrelated(seen: Observed[Effect]) -> Judgement:
    before, sample, settling = seen.bystander
    return judge.nothing_reaches(before, sample, "v2", settling)


@pytest.mark.requirement("split-matches-path-and-method")
def test_what_of_a_match_a_split_looks_at(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.nothing_reaches(*seen.effect[:2], "v1", seen.effect.settling)
    verdict(judge.reading(effect, seen.about(*PATHS), unrelated(seen)))


@pytest.mark.requirement("split-matches-missing-or-empty")
def test_what_becomes_of_a_split_without_a_group_that_there_is(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.nothing_reaches(*seen.effect[:2], "v1", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("dangling", "no matches", "awaited"), unrelated(seen)))


@pytest.mark.requirement("split-matches-group-namespace")
def test_in_which_namespaces_a_group_is_looked_up(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.nothing_reaches(*seen.effect[:2], "v1", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("elsewhere", "namesake"), unrelated(seen)))


@pytest.mark.requirement("split-example-errata")
def test_what_becomes_of_the_examples_that_contradict_the_rest(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.nothing_reaches(*seen.effect[:2], "v1", seen.effect.settling)
    verdict(judge.reading(effect, seen.about(*EXAMPLES), unrelated(seen)))

"""What becomes of splits that the specification leaves open: without weight, without pods, or twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance import judge
from conformance.drive.observing import REQUESTS, Observed, Odd, Trial, observe
from conformance.drive.scenario import Division, Effect, Scenario
from conformance.evidence import Call, Look
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-split/odd-splits", arena=("main", "metrics"), groups=("split",), alone=True
)

SERVERS = ["main/v1", "main/v2", "main/v3", "metrics/server"]
ROOT = ("v1",)
GHOST = "backend whose service does not exist"
NOBODY = "backend without endpoints"
BROKEN = "what can be served is lost as well: every request fails"
ABSENT_BACKEND = (
    Look("a", ("v2",)),
    Look("b", ("v2",), failing=True),
    Look("c", ROOT),
    Look("", (), finding=BROKEN),
)
LATE = "root that is made after its split"

TRIALS = {
    "zeros": (
        "all weights zero",
        (Look("a"), Look("b", ROOT), Look("c", ("v2", "v3")), Look("d", refused=True)),
    ),
    "ghostly": (GHOST, ABSENT_BACKEND),
    "hollow-backed": (NOBODY, ABSENT_BACKEND),
    "bare": ("no backends", (Look("a", ROOT), Look("b"), Look("c", refused=True))),
    "doubled": (
        "a backend listed twice",
        (Look("a", ("v2", "v3")), Look("b", ("v3",)), Look("c", refused=True)),
    ),
    "own": (
        "the root among its backends",
        (
            Look("a", refused=True),
            Look("b", ("v3",)),
            Look("b", ROOT),
            Look("c", ("v1", "v3")),
            Look("", (), finding="requests of the root do not finish"),
            Look("", ("v3",), failing=True, finding="the root's own share does not finish"),
        ),
    ),
    "twice": (
        "two splits of one root",
        (Look("a", ("v2",)), Look("a", ("v3",)), Look("b", ("v2", "v3")), Look("d", refused=True)),
    ),
    "halves": (
        "weight of a half",
        (Look("a", refused=True), Look("b", ROOT), Look("c", ("v2", "v3"))),
    ),
    "minus": (
        "negative weight",
        (
            Look("a", refused=True),
            Look("b", ROOT),
            Look("c", ("v3",)),
            Look("", ("v2",), finding="a negative weight draws all traffic"),
            Look("", ("v2", "v3"), finding="a negative weight draws traffic"),
        ),
    ),
    "abroad": (
        "backend of another namespace",
        (
            Look("a", refused=True),
            Look("a", ROOT),
            Look("a", ("v3",)),
            Look("a", ("v3",), failing=True),
            Look("b", ("server", "v3")),
            Look(
                "", ("v2", "v3"), finding="the service of that name in the split's own namespace is reached"
            ),
        ),
    ),
    "renamed": (
        "same number, another name",
        (Look("a", ("v2", "v3")), Look("b", ("v3",))),
    ),
    "partial": (
        "backend with some of the root's ports",
        (Look("a", ("v2", "v3")), Look("b", ("v3",))),
    ),
    "late": (
        LATE,
        (
            Look("a", ("v2",)),
            Look("", ROOT, finding="the split is never taken up"),
            Look("", (), finding="the root never answers"),
        ),
    ),
}
"""By root: the question, and how its readings look from the client."""

ABOUT = {"twice": "twice-2"}


@driven
def seen(scenario: Scenario) -> Observed[Effect]:
    def call(root: str) -> Call:
        return scenario.call("main/client", f"main/{root}", requests=REQUESTS)

    def steady(server: str) -> Division:
        return Division(scenario.call("main/client", "main/steady", requests=300), frozenset({server}))

    scenario.provide()
    trials = [
        Trial(
            root,
            of,
            call(root),
            looks,
            usual=() if root == "late" else ROOT,
            about=ABOUT.get(root, root),
            awaited=root == "late",
        )
        for root, (of, looks) in TRIALS.items()
    ]
    odd = Odd(trials, ["2-odd.yaml"], SERVERS, late=["4-late.yaml"])
    return observe(scenario, odd, (steady("v2"), "1-steady.yaml"), (steady("v3"), "3-steady.yaml"))


def unrelated(seen: Observed[Effect]) -> Judgement:
    before, sample, settling = seen.bystander
    return judge.everything_reaches(before, sample, "v3", settling)


@pytest.mark.requirement("split-all-weights-zero")
def test_what_becomes_of_a_split_whose_weights_are_all_zero(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.everything_reaches(*seen.effect[:2], "v2", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("zeros"), unrelated(seen)))


@pytest.mark.requirement("split-unavailable-backend")
def test_what_becomes_of_the_share_of_a_backend_that_nobody_answers_for(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.everything_reaches(*seen.effect[:2], "v2", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("ghostly", "hollow-backed"), unrelated(seen)))


@pytest.mark.requirement("split-degenerate-spec")
def test_what_becomes_of_splits_without_backends_or_with_one_listed_twice(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.everything_reaches(*seen.effect[:2], "v2", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("bare", "doubled"), unrelated(seen)))


@pytest.mark.requirement("split-self-reference")
def test_what_becomes_of_a_split_that_lists_its_own_root(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.everything_reaches(*seen.effect[:2], "v2", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("own"), unrelated(seen)))


@pytest.mark.requirement("split-two-splits-one-root")
def test_what_becomes_of_two_splits_of_one_root(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.everything_reaches(*seen.effect[:2], "v2", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("twice"), unrelated(seen)))


@pytest.mark.requirement("split-weight-fraction-or-negative")
def test_what_becomes_of_weights_that_are_no_whole_numbers_or_negative(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.everything_reaches(*seen.effect[:2], "v2", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("halves", "minus"), unrelated(seen)))


@pytest.mark.requirement("split-cross-namespace-backends")
def test_where_the_share_of_a_backend_of_another_namespace_goes(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.everything_reaches(*seen.effect[:2], "v2", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("abroad"), unrelated(seen)))


@pytest.mark.requirement("split-port-matching-details")
def test_which_backends_take_part_where_ports_match_in_part(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.everything_reaches(*seen.effect[:2], "v2", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("renamed", "partial"), unrelated(seen)))


@pytest.mark.requirement("split-root-service-missing")
def test_what_becomes_of_a_split_that_is_older_than_its_root(
    seen: Observed[Effect], verdict: Callable[[Judgement], None]
) -> None:
    effect = judge.everything_reaches(*seen.effect[:2], "v2", seen.effect.settling)
    verdict(judge.reading(effect, seen.about("late"), unrelated(seen)))

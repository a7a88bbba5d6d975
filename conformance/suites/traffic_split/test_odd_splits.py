"""What becomes of splits that the specification leaves open: without weight, without pods, or twice."""

from __future__ import annotations

from dataclasses import replace

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
    Traffic,
    Trial,
    TrialPlan,
    TrialResult,
    TrialResults,
    drives_scenario,
    judge,
    observe,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/odd-splits", arena=("main", "metrics"), groups=("split",), alone=True
)

SERVERS = ["main/v1", "main/v2", "main/v3", "main/v4", "metrics/server"]
ROOT, OWN = ("v1",), ("v4",)
"""Who stands behind a root, and behind the one that its split lists among its backends."""
GHOST = "backend whose service does not exist"
NOBODY = "backend without endpoints"
BROKEN = "what can be served is lost as well: every request fails"
ABSENT_BACKEND = (
    Behaviour("a", ("v2",)),
    Behaviour("b", ("v2",), failing=True),
    Behaviour("c", ROOT),
    Behaviour("", (), finding=BROKEN),
)
CUT_OFF = "the service of the split's own name is cut off"


def back(what: str) -> tuple[Behaviour, ...]:
    """How it looks when a backend that nobody answered for can serve, or nothing of it is taken up."""
    lost = f"{what} never gets its share"
    return (
        Behaviour("a", ("v2", "v3")),
        Behaviour("b", ("v2",), finding=lost),
        Behaviour("b", ("v2",), failing=True, finding=lost),
        Behaviour("b", ROOT, finding=lost),
        Behaviour("", (), finding=BROKEN),
    )


TRIALS = {
    "zeros": (
        "all weights zero",
        (Behaviour("a"), Behaviour("b", ROOT), Behaviour("c", ("v2", "v3")), Behaviour("d", refused=True)),
    ),
    "weightless": (
        "a lone backend of weight zero",
        (Behaviour("a"), Behaviour("b", ROOT), Behaviour("c", ("v2",)), Behaviour("d", refused=True)),
    ),
    "zeros edited": (
        "weights after all were zero",
        (
            Behaviour("a", ("v3",)),
            Behaviour("b", ("v2",), finding="the split as it was before the zeros stays in force"),
            Behaviour("b", ROOT, finding="what is edited after the zeros never takes effect"),
            Behaviour("b", ("v2", "v3"), finding="what is edited after the zeros never takes effect"),
            Behaviour("b", (), finding="what is edited after the zeros never takes effect"),
        ),
    ),
    "ghostly": (GHOST, ABSENT_BACKEND),
    "ghost made": ("backend whose service is made later", back("a backend that is made later")),
    "hollow-backed": (NOBODY, ABSENT_BACKEND),
    "nobody filled": ("backend that gets endpoints later", back("a backend that gets endpoints later")),
    "leaving": (
        "backend whose endpoints go",
        (
            *ABSENT_BACKEND,
            Behaviour("", ("v2", "v3"), finding="endpoints that are gone get their share still"),
        ),
    ),
    "leaver back": ("backend whose endpoints come back", back("a backend whose endpoints come back")),
    "bare": ("no backends", (Behaviour("a", ROOT), Behaviour("b"), Behaviour("c", refused=True))),
    "specless": (
        "no spec",
        (Behaviour("a", ROOT), Behaviour("c", refused=True), Behaviour("b", (), finding=CUT_OFF)),
    ),
    "nameless": (
        "no root",
        (
            Behaviour("a", ROOT),
            Behaviour("c", refused=True),
            Behaviour("b", (), finding=CUT_OFF),
            Behaviour("", ("v2",), finding="the service of the split's own name is split"),
        ),
    ),
    "doubled": (
        "a backend listed twice",
        (Behaviour("a", ("v2", "v3")), Behaviour("b", ("v3",)), Behaviour("c", refused=True)),
    ),
    "own": (
        "the root among its backends",
        (
            Behaviour("a", refused=True),
            Behaviour("b", ("v3",)),
            Behaviour("b", OWN),
            Behaviour("c", ("v3", "v4")),
            Behaviour("", (), finding="requests of the root do not finish"),
            Behaviour("", ("v3",), failing=True, finding="the root's own share does not finish"),
        ),
    ),
    "twice": (
        "two splits of one root",
        (
            Behaviour("a", ("v2",)),
            Behaviour("a", ("v3",)),
            Behaviour("b", ("v2", "v3")),
            Behaviour("d", refused=True),
        ),
    ),
    "halves": (
        "weight of a half",
        (Behaviour("a", refused=True), Behaviour("b", ROOT), Behaviour("c", ("v2", "v3"))),
    ),
    "minus": (
        "negative weight",
        (
            Behaviour("a", refused=True),
            Behaviour("b", ROOT),
            Behaviour("c", ("v3",)),
            Behaviour("", ("v2",), finding="a negative weight draws all traffic"),
            Behaviour("", ("v2", "v3"), finding="a negative weight draws traffic"),
        ),
    ),
    "abroad": (
        "backend of another namespace",
        (
            Behaviour("a", refused=True),
            Behaviour("a", ROOT),
            Behaviour("a", ("v3",)),
            Behaviour("a", ("v3",), failing=True),
            Behaviour("b", ("server", "v3")),
            Behaviour(
                "", ("v2", "v3"), finding="the service of that name in the split's own namespace is reached"
            ),
        ),
    ),
    "renamed": (
        "same number, another name",
        (Behaviour("a", ("v2", "v3")), Behaviour("b", ("v3",))),
    ),
    "partial": (
        "backend with some of the root's ports",
        (Behaviour("a", ("v2", "v3")), Behaviour("b", ("v3",))),
    ),
    "before its service": (
        "root that there is no service of",
        (Behaviour("a"), Behaviour("b", ("v2",))),
    ),
    "late": (
        "root that is made after its split",
        (
            Behaviour("a", ("v2",)),
            Behaviour("b", ROOT, finding="the split is never taken up"),
            Behaviour("", (), finding="the root never answers"),
        ),
    ),
}
"""By trial, called as its root is unless ROOTS says otherwise: the question, and how its readings look."""
ROOTS = {
    "zeros edited": "zeros",
    "ghost made": "ghostly",
    "nobody filled": "hollow-backed",
    "leaver back": "leaving",
    "before its service": "late",
}
EARLY = frozenset({"zeros", "ghostly", "hollow-backed", "leaving", "before its service"})
"""The trials of what the late file puts an end to."""
AWAITED = {
    "zeros edited": ("v3",),
    "ghost made": ("v3",),
    "nobody filled": ("v3",),
    "leaver back": ("v3",),
    "late": ("v2",),
}
LEAVING = {"leaving": ("v3",), "zeros edited": ("v2",)}
ABOUT = {"twice": "twice-2", "zeros edited": ""}
BESIDE = {
    "zeros edited": ("zeros",),
    "ghostly": ("ghost",),
    "hollow-backed": ("nobody",),
    "leaving": ("leaver",),
    "twice": ("twice-1",),
}
"""The other objects that trials take."""
APART = frozenset({"zeros", "weightless", "bare", "specless", "nameless", "own", "halves", "minus", "abroad"})
"""What may stop a mesh: what is malformed, or says nothing that can be followed."""
LATER = "twice, after an edit"
CHANGED = "what counts of two splits of one root changes with an edit of a third one"


def after_an_edit(first: TrialResult, again: TrialResult) -> TrialResult:
    """The question about two splits of one root, asked again when a third split was edited."""
    if first.sample is None:
        return replace(again, looks=(Behaviour("d", refused=True),))
    return replace(again, looks=_same_or_not(first.sample))


def _same_or_not(first: Traffic) -> tuple[Behaviour, ...]:
    """How it looks if the same workloads answer as before, and how if others do."""
    answering = {name for seen in (first.answered, first.received) for name, count in seen.items() if count}
    same = Behaviour("a", tuple(sorted(answering)), failing=first.answers < first.sent)
    others = [("v2",), ("v3",), ("v2", "v3"), ROOT, ()]
    return (same, *(Behaviour("b", each, finding=CHANGED) for each in others if set(each) != answering))


@drives_scenario
def seen(scenario: Scenario) -> TrialResults[Effect]:
    def call(root: str) -> Call:
        return scenario.call("main/client", f"main/{root}", requests=REQUESTS)

    def steady(server: str) -> ExpectedResponders:
        return ExpectedResponders(
            scenario.call("main/client", "main/steady", requests=300), frozenset({server})
        )

    def trial(name: str, of: str, looks: tuple[Behaviour, ...]) -> Trial:
        root = ROOTS.get(name, name)
        return Trial(
            name,
            of,
            call(root),
            looks,
            baseline_responders={"late": (), "own": OWN}.get(root, ROOT),
            object_name=ABOUT.get(name, root),
            must_appear=AWAITED.get(name, ()),
            must_disappear=LEAVING.get(name, ()),
            sample_before_late_files=name in EARLY,
            beside=BESIDE.get(name, ()),
            apart=root in APART,
            prior=prior.get(root),
        )

    scenario.create_services()
    both = frozenset({"v2", "v3"})
    prior = {
        "zeros": ExpectedResponders(call("zeros"), frozenset({"v2"})),
        "leaving": ExpectedResponders(call("leaving"), both, must_appear=both),
    }
    trials = [trial(name, of, looks) for name, (of, looks) in TRIALS.items()]
    twice = next(one for one in trials if one.name == "twice")
    trials.append(
        replace(twice, name=LATER, question="two splits of one root, after an unrelated edit", edited=True)
    )
    emptied = scenario.objects("2-emptied.yaml")
    odd = TrialPlan(
        trials, ["2-odd.yaml"], SERVERS, late=["4-late.yaml"], earlier=["1-edited.yaml"], written=emptied
    )
    found = observe(scenario, odd, (steady("v2"), "1-steady.yaml"), (steady("v3"), "3-steady.yaml"))
    again = after_an_edit(found.questions["twice"], found.questions[LATER])
    return replace(found, questions={**found.questions, LATER: again})


def reading(seen: TrialResults[Effect], *names: str) -> Judgement:
    """Which readings the trials of these names show, beside the effect that was in force."""
    effect = judge.everything_reaches(seen.effect, "v2")
    return judge.reading(effect, seen.select(*names), effect)


@pytest.mark.requirement("split-all-weights-zero")
def test_what_becomes_of_a_split_whose_weights_are_all_zero(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "zeros", "weightless", "zeros edited"))


@pytest.mark.requirement("split-unavailable-backend")
def test_what_becomes_of_the_share_of_a_backend_that_nobody_answers_for(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(
        reading(seen, "ghostly", "hollow-backed", "ghost made", "nobody filled", "leaving", "leaver back")
    )


@pytest.mark.requirement("split-degenerate-spec")
def test_what_becomes_of_splits_that_say_too_little_or_one_thing_twice(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "bare", "specless", "nameless", "doubled"))


@pytest.mark.requirement("split-self-reference")
def test_what_becomes_of_a_split_that_lists_its_own_root(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "own"))


@pytest.mark.requirement("split-two-splits-one-root")
def test_what_becomes_of_two_splits_of_one_root(seen: TrialResults[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, "twice", LATER))


@pytest.mark.requirement("split-weight-fraction-or-negative")
def test_what_becomes_of_weights_that_are_no_whole_numbers_or_negative(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "halves", "minus"))


@pytest.mark.requirement("split-cross-namespace-backends")
def test_where_the_share_of_a_backend_of_another_namespace_goes(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "abroad"))


@pytest.mark.requirement("split-port-matching-details")
def test_which_backends_take_part_where_ports_match_in_part(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "renamed", "partial"))


@pytest.mark.requirement("split-root-service-missing")
def test_what_becomes_of_a_split_that_is_older_than_its_root(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "before its service", "late"))

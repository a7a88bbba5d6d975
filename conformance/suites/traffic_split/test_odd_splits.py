"""What becomes of splits that the specification leaves open: without weight, without pods, or twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.suite import (
    REQUESTS,
    Call,
    Conclude,
    Division,
    Effect,
    Judgement,
    Look,
    Observed,
    Odd,
    Question,
    Scenario,
    Traffic,
    Trial,
    driven,
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
    Look("a", ("v2",)),
    Look("b", ("v2",), failing=True),
    Look("c", ROOT),
    Look("", (), finding=BROKEN),
)
CUT_OFF = "the service of the split's own name is cut off"


def back(what: str) -> tuple[Look, ...]:
    """How it looks when a backend that nobody answered for can serve, or nothing of it is taken up."""
    lost = f"{what} never gets its share"
    return (
        Look("a", ("v2", "v3")),
        Look("b", ("v2",), finding=lost),
        Look("b", ("v2",), failing=True, finding=lost),
        Look("b", ROOT, finding=lost),
        Look("", (), finding=BROKEN),
    )


TRIALS = {
    "zeros": (
        "all weights zero",
        (Look("a"), Look("b", ROOT), Look("c", ("v2", "v3")), Look("d", refused=True)),
    ),
    "weightless": (
        "a lone backend of weight zero",
        (Look("a"), Look("b", ROOT), Look("c", ("v2",)), Look("d", refused=True)),
    ),
    "zeros edited": (
        "weights after all were zero",
        (
            Look("a", ("v3",)),
            Look("b", ("v2",), finding="the split as it was before the zeros stays in force"),
            Look("b", ROOT, finding="what is edited after the zeros never takes effect"),
            Look("b", ("v2", "v3"), finding="what is edited after the zeros never takes effect"),
            Look("b", (), finding="what is edited after the zeros never takes effect"),
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
            Look("", ("v2", "v3"), finding="endpoints that are gone get their share still"),
        ),
    ),
    "leaver back": ("backend whose endpoints come back", back("a backend whose endpoints come back")),
    "bare": ("no backends", (Look("a", ROOT), Look("b"), Look("c", refused=True))),
    "specless": (
        "no spec",
        (Look("a", ROOT), Look("c", refused=True), Look("b", (), finding=CUT_OFF)),
    ),
    "nameless": (
        "no root",
        (
            Look("a", ROOT),
            Look("c", refused=True),
            Look("b", (), finding=CUT_OFF),
            Look("", ("v2",), finding="the service of the split's own name is split"),
        ),
    ),
    "doubled": (
        "a backend listed twice",
        (Look("a", ("v2", "v3")), Look("b", ("v3",)), Look("c", refused=True)),
    ),
    "own": (
        "the root among its backends",
        (
            Look("a", refused=True),
            Look("b", ("v3",)),
            Look("b", OWN),
            Look("c", ("v3", "v4")),
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
    "before its service": (
        "root that there is no service of",
        (Look("a"), Look("b", ("v2",))),
    ),
    "late": (
        "root that is made after its split",
        (
            Look("a", ("v2",)),
            Look("b", ROOT, finding="the split is never taken up"),
            Look("", (), finding="the root never answers"),
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


def after_an_edit(first: Question, again: Question) -> Question:
    """The question about two splits of one root, asked again when a third split was edited."""
    if first.sample is None:
        return replace(again, looks=(Look("d", refused=True),))
    return replace(again, looks=_same_or_not(first.sample))


def _same_or_not(first: Traffic) -> tuple[Look, ...]:
    """How it looks if the same workloads answer as before, and how if others do."""
    answering = {name for seen in (first.answered, first.reached) for name, count in seen.items() if count}
    same = Look("a", tuple(sorted(answering)), failing=first.answers < first.sent)
    others = [("v2",), ("v3",), ("v2", "v3"), ROOT, ()]
    return (same, *(Look("b", each, finding=CHANGED) for each in others if set(each) != answering))


@driven
def seen(scenario: Scenario) -> Observed[Effect]:
    def call(root: str) -> Call:
        return scenario.call("main/client", f"main/{root}", requests=REQUESTS)

    def steady(server: str) -> Division:
        return Division(scenario.call("main/client", "main/steady", requests=300), frozenset({server}))

    def trial(name: str, of: str, looks: tuple[Look, ...]) -> Trial:
        root = ROOTS.get(name, name)
        return Trial(
            name,
            of,
            call(root),
            looks,
            usual={"late": (), "own": OWN}.get(root, ROOT),
            about=ABOUT.get(name, root),
            awaited=AWAITED.get(name, ()),
            leaving=LEAVING.get(name, ()),
            early=name in EARLY,
            beside=BESIDE.get(name, ()),
            apart=root in APART,
            prior=prior.get(root),
        )

    scenario.provide()
    both = frozenset({"v2", "v3"})
    prior = {
        "zeros": Division(call("zeros"), frozenset({"v2"})),
        "leaving": Division(call("leaving"), both, among_seen=both),
    }
    trials = [trial(name, of, looks) for name, (of, looks) in TRIALS.items()]
    twice = next(one for one in trials if one.name == "twice")
    trials.append(
        replace(twice, name=LATER, of="two splits of one root, after an unrelated edit", edited=True)
    )
    emptied = scenario.objects("2-emptied.yaml")
    odd = Odd(
        trials, ["2-odd.yaml"], SERVERS, late=["4-late.yaml"], earlier=["1-edited.yaml"], written=emptied
    )
    found = observe(scenario, odd, (steady("v2"), "1-steady.yaml"), (steady("v3"), "3-steady.yaml"))
    again = after_an_edit(found.questions["twice"], found.questions[LATER])
    return replace(found, questions={**found.questions, LATER: again})


def reading(seen: Observed[Effect], *names: str) -> Judgement:
    """Which readings the trials of these names show, beside the effect that was in force."""
    effect = judge.everything_reaches(seen.effect, "v2")
    return judge.reading(effect, seen.about(*names), effect)


@pytest.mark.requirement("split-all-weights-zero")
def test_what_becomes_of_a_split_whose_weights_are_all_zero(
    seen: Observed[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "zeros", "weightless", "zeros edited"))


@pytest.mark.requirement("split-unavailable-backend")
def test_what_becomes_of_the_share_of_a_backend_that_nobody_answers_for(
    seen: Observed[Effect], verdict: Conclude
) -> None:
    verdict(
        reading(seen, "ghostly", "hollow-backed", "ghost made", "nobody filled", "leaving", "leaver back")
    )


@pytest.mark.requirement("split-degenerate-spec")
def test_what_becomes_of_splits_that_say_too_little_or_one_thing_twice(
    seen: Observed[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "bare", "specless", "nameless", "doubled"))


@pytest.mark.requirement("split-self-reference")
def test_what_becomes_of_a_split_that_lists_its_own_root(seen: Observed[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, "own"))


@pytest.mark.requirement("split-two-splits-one-root")
def test_what_becomes_of_two_splits_of_one_root(seen: Observed[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, "twice", LATER))


@pytest.mark.requirement("split-weight-fraction-or-negative")
def test_what_becomes_of_weights_that_are_no_whole_numbers_or_negative(
    seen: Observed[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "halves", "minus"))


@pytest.mark.requirement("split-cross-namespace-backends")
def test_where_the_share_of_a_backend_of_another_namespace_goes(
    seen: Observed[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "abroad"))


@pytest.mark.requirement("split-port-matching-details")
def test_which_backends_take_part_where_ports_match_in_part(
    seen: Observed[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "renamed", "partial"))


@pytest.mark.requirement("split-root-service-missing")
def test_what_becomes_of_a_split_that_is_older_than_its_root(
    seen: Observed[Effect], verdict: Conclude
) -> None:
    verdict(reading(seen, "before its service", "late"))

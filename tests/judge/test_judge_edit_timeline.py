"""The propagation of edits under steady traffic, and whether the old state comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from judge_evidence import CONVERGED, traffic

from conformance import judge
from conformance.judge.edit_timeline import EditPropagation, describe, outcome, propagations
from conformance.model.evidence import Behaviour, Call, Edit, EditTimeline, Effect, TrialResult

CALL = Call("client", "root", 8080, 1)
TO_V3 = Edit("v2", "v3", 100, 400)
"""At 500 requests a second the new state holds after 50 answers."""


def timeline(*runs: tuple[str, int], edits: Sequence[Edit] = (TO_V3,), unanswered: int = 0) -> EditTimeline:
    return EditTimeline(CALL, 500.0, runs, tuple(edits), unanswered)


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (timeline(("v2", 100), ("v3", 300)), "at once"),
        (timeline(("v2", 99), ("v3", 301)), "at once"),
        (timeline(("v2", 101), ("v3", 299)), "later"),
        (timeline(("v2", 102), ("v3", 3), ("v2", 2), ("v3", 293)), "later"),
        (timeline(("v2", 100), ("v3", 49), ("v2", 1), ("v3", 250)), "later"),
        (timeline(("v2", 100), ("v3", 50), ("v2", 1), ("v3", 249)), "flapping"),
        (timeline(("v2", 120), ("v3", 200), ("v1", 1), ("v3", 79)), "flapping"),
        (timeline(("v2", 100), ("v3", 300), ("v2", 9)), "at once"),
        (timeline(("v2", 400)), "never"),
        (timeline(("v2", 360), ("v3", 40)), "never"),
        (timeline(("v2", 400), edits=()), "never"),
        (timeline(), "never"),
    ],
    ids=[
        "at the answer",
        "before the answer",
        "one request later",
        "by one thread after another",
        "alternating until it holds",
        "back after it held",
        "astray after it held",
        "back after the next edit was asked for",
        "not at all",
        "too short to hold",
        "no edit",
        "no traffic",
    ],
)
def test_an_edit_arrives(one: EditTimeline, found: str) -> None:
    assert outcome(one) == found


def test_one_edit_of_several_that_comes_later_or_not_at_all_decides() -> None:
    back = Edit("v3", "v2", 401, 700)
    assert outcome(timeline(("v2", 100), ("v3", 301), ("v2", 299), edits=(TO_V3, back))) == "at once"
    assert outcome(timeline(("v2", 100), ("v3", 302), ("v2", 298), edits=(TO_V3, back))) == "later"
    assert outcome(timeline(("v2", 100), ("v3", 600), edits=(TO_V3, back))) == "never"


def test_edits_that_were_not_all_made_are_neither_at_once_nor_later() -> None:
    for first in (100, 150):
        cut_short = replace(timeline(("v2", first), ("v3", 300)), cut_short=True)
        assert outcome(cut_short) == "never"
        assert describe(cut_short).endswith(
            "after they were accepted; the last edit was observed too briefly"
        )
    never = replace(timeline(("v2", 400)), cut_short=True)
    assert (outcome(never), describe(never)) == ("never", "1 edit; 1 edit never held")
    back = replace(timeline(("v2", 100), ("v3", 60), ("v2", 240)), cut_short=True)
    assert outcome(back) == "flapping"


def test_arrivals_are_counted_in_requests_after_the_answer_of_the_api_server() -> None:
    one = timeline(("v2", 105), ("v3", 2), ("v2", 3), ("v3", 60), ("v2", 7), ("v3", 300))
    assert propagations(one) == [EditPropagation(10, 7)]


def test_answers_that_may_belong_to_the_next_edit_are_left_out() -> None:
    # Ten received requests had no answer, so the last ten answers before the edit may be later ones.
    following = (("v2", 100), ("v3", 291), ("v2", 200))
    assert outcome(timeline(*following)) == "flapping"
    assert outcome(timeline(*following, unanswered=10)) == "at once"


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (
            timeline(("v2", 105), ("v3", 295)),
            "1 edit; the old state seen until 10 ms after they were accepted",
        ),
        (
            timeline(("v2", 100), ("v3", 60), ("v2", 1), ("v3", 239)),
            "1 edit; the old state seen until 0 ms after they were accepted; "
            "1 answer by the old state after the new one had held",
        ),
        (
            timeline(("v2", 400)),
            "1 edit; 1 edit never held",
        ),
        (timeline(edits=()), "no edit was made"),
    ],
)
def test_the_delays_are_reported(one: EditTimeline, words: str) -> None:
    assert describe(one) == words


@pytest.mark.parametrize(
    ("one", "letter", "finding"),
    [
        (timeline(("v2", 105), ("v3", 295)), "a", ""),
        (timeline(("v2", 100), ("v3", 300)), "b", ""),
        (timeline(("v2", 100), ("v3", 60), ("v2", 1), ("v3", 239)), "a", "it flaps"),
        (timeline(("v2", 400)), "", ""),
    ],
)
def test_the_propagation_of_edits_decides_the_reading(one: EditTimeline, letter: str, finding: str) -> None:
    looks = (
        Behaviour("a", propagation="later"),
        Behaviour("b", propagation="at once"),
        Behaviour("a", propagation="flapping", finding="it flaps"),
    )
    all_of_them = traffic({"v1": 100, "v2": 100})
    effect = judge.everything_reaches(Effect(all_of_them, traffic({"v2": 300}), CONVERGED), "v2")
    question = TrialResult("steady traffic", "when", looks, timeline=one)
    (found,) = judge.reading(effect, [question], effect).readings
    assert (found.letter, found.finding) == (letter, finding)
    assert found.observed == (outcome(one) != "never")

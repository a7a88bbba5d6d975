"""When edits arrive under steady traffic, and whether the old state comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from judge_evidence import SETTLED, traffic

from conformance import judge
from conformance.judge.edit_timeline import Arrival, arrivals, outcome, told
from conformance.model.evidence import Call, Course, Edit, Effect, Look, Question

CALL = Call("client", "root", 8080, 1)
TO_V3 = Edit("v2", "v3", 100, 400)
"""At 500 requests a second the new state holds after 50 answers."""


def course(*stretches: tuple[str, int], edits: Sequence[Edit] = (TO_V3,), unanswered: int = 0) -> Course:
    return Course(CALL, 500.0, stretches, tuple(edits), unanswered)


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (course(("v2", 100), ("v3", 300)), "at once"),
        (course(("v2", 99), ("v3", 301)), "at once"),
        (course(("v2", 101), ("v3", 299)), "later"),
        (course(("v2", 102), ("v3", 3), ("v2", 2), ("v3", 293)), "later"),
        (course(("v2", 100), ("v3", 49), ("v2", 1), ("v3", 250)), "later"),
        (course(("v2", 100), ("v3", 50), ("v2", 1), ("v3", 249)), "flapping"),
        (course(("v2", 120), ("v3", 200), ("v1", 1), ("v3", 79)), "flapping"),
        (course(("v2", 100), ("v3", 300), ("v2", 9)), "at once"),
        (course(("v2", 400)), "never"),
        (course(("v2", 360), ("v3", 40)), "never"),
        (course(("v2", 400), edits=()), "never"),
        (course(), "never"),
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
def test_an_edit_arrives(one: Course, found: str) -> None:
    assert outcome(one) == found


def test_one_edit_of_several_that_comes_later_or_not_at_all_decides() -> None:
    back = Edit("v3", "v2", 401, 700)
    assert outcome(course(("v2", 100), ("v3", 301), ("v2", 299), edits=(TO_V3, back))) == "at once"
    assert outcome(course(("v2", 100), ("v3", 302), ("v2", 298), edits=(TO_V3, back))) == "later"
    assert outcome(course(("v2", 100), ("v3", 600), edits=(TO_V3, back))) == "never"


def test_edits_that_were_not_all_made_are_neither_at_once_nor_later() -> None:
    for first in (100, 150):
        cut_short = replace(course(("v2", first), ("v3", 300)), cut_short=True)
        assert outcome(cut_short) == "never"
        assert told(cut_short).endswith("after they were accepted; the last was not seen for long enough")
    never = replace(course(("v2", 400)), cut_short=True)
    assert (outcome(never), told(never)) == ("never", "1 edit; 1 edit never held")
    back = replace(course(("v2", 100), ("v3", 60), ("v2", 240)), cut_short=True)
    assert outcome(back) == "flapping"


def test_arrivals_are_counted_in_requests_after_the_answer_of_the_api_server() -> None:
    one = course(("v2", 105), ("v3", 2), ("v2", 3), ("v3", 60), ("v2", 7), ("v3", 300))
    assert arrivals(one) == [Arrival(10, 7)]


def test_answers_that_may_belong_to_the_next_edit_are_left_out() -> None:
    # Ten requests were seen and never answered, so the last ten answers before the edit may be later ones.
    following = (("v2", 100), ("v3", 291), ("v2", 200))
    assert outcome(course(*following)) == "flapping"
    assert outcome(course(*following, unanswered=10)) == "at once"


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (course(("v2", 105), ("v3", 295)), "1 edit; the old state seen until 10 ms after they were accepted"),
        (
            course(("v2", 100), ("v3", 60), ("v2", 1), ("v3", 239)),
            "1 edit; the old state seen until 0 ms after they were accepted; "
            "1 answer by the old state after the new one had held",
        ),
        (
            course(("v2", 400)),
            "1 edit; 1 edit never held",
        ),
        (course(edits=()), "no edit was made"),
    ],
)
def test_the_delays_are_told(one: Course, words: str) -> None:
    assert told(one) == words


@pytest.mark.parametrize(
    ("one", "letter", "finding"),
    [
        (course(("v2", 105), ("v3", 295)), "a", ""),
        (course(("v2", 100), ("v3", 300)), "b", ""),
        (course(("v2", 100), ("v3", 60), ("v2", 1), ("v3", 239)), "a", "it flaps"),
        (course(("v2", 400)), "", ""),
    ],
)
def test_a_reading_is_told_by_how_edits_arrive(one: Course, letter: str, finding: str) -> None:
    looks = (
        Look("a", arrives="later"),
        Look("b", arrives="at once"),
        Look("a", arrives="flapping", finding="it flaps"),
    )
    all_of_them = traffic({"v1": 100, "v2": 100})
    effect = judge.everything_reaches(Effect(all_of_them, traffic({"v2": 300}), SETTLED), "v2")
    question = Question("steady traffic", "when", looks, course=one)
    (found,) = judge.reading(effect, [question], effect).readings
    assert (found.letter, found.finding) == (letter, finding)
    assert found.observed == (outcome(one) != "never")

"""An Event at the object, or a refusal, names what of it has no effect."""

from __future__ import annotations

from typing import Any

import pytest
from judge_evidence import read

from conformance.evidence import Attempt
from conformance.judge import told_at
from conformance.verdict import Judgement, Verdict

TAKEN = Attempt("as it is", "accepted", {}, 201)


def event(message: str = "backend b is left out", **changes: Any) -> dict[str, Any]:
    involved = {"kind": "TrafficSplit", "name": "mistaken"}
    return {"metadata": {"name": "e1"}, "count": 1, "message": message, "involvedObject": involved} | changes


def judged(
    *after: dict[str, Any], before: tuple[dict[str, Any], ...] = (), sent: Attempt = TAKEN
) -> Judgement:
    reads = (read({"items": list(before)}), read({"items": list(after)}))
    return told_at(*reads, sent, "TrafficSplit", "mistaken", "backend b", 8)


def test_an_event_at_the_object_that_names_it_passes() -> None:
    assert judged(event()).passed


def test_an_event_that_happens_once_more_is_a_new_one() -> None:
    assert judged(event(count=2), before=(event(),)).passed


@pytest.mark.parametrize(
    "after",
    [
        (),
        (event("something is wrong"),),
        (event(involvedObject={"kind": "Pod", "name": "mistaken"}),),
        (event(involvedObject={"kind": "TrafficSplit", "name": "another"}),),
    ],
    ids=["none", "without the name", "at a pod", "at another split"],
)
def test_silence_or_an_event_elsewhere_fails(after: tuple[dict[str, Any], ...]) -> None:
    assert judged(*after).verdict is Verdict.FAIL


def test_an_event_of_an_earlier_object_of_that_name_does_not_count() -> None:
    assert judged(event(), before=(event(),)).verdict is Verdict.FAIL


def test_a_refusal_that_names_it_passes_and_another_says_nothing() -> None:
    refused = Attempt("as it is", "accepted", {}, 422, "backend b does not expose port 8080")
    assert judged(sent=refused).passed
    other = Attempt("as it is", "accepted", {}, 403, "not allowed")
    assert judged(sent=other).verdict is Verdict.INCONCLUSIVE


def test_events_that_cannot_be_read_are_inconclusive() -> None:
    reads = (read({"items": []}), read({"message": "no"}, status=403))
    found = told_at(*reads, TAKEN, "TrafficSplit", "mistaken", "backend b", 8)
    assert found.verdict is Verdict.INCONCLUSIVE

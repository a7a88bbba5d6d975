"""The meaning of an object in two versions, and the readings that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from judge_evidence import CONVERGED, traffic

from conformance import judge
from conformance.judge.conversions import describe, outcome
from conformance.model.evidence import Behaviour, Conversion, Effect, TrialResult
from conformance.model.verdict import Reading

ALL = traffic({"v1": 100, "v2": 100})
IN_FORCE = judge.everything_reaches(Effect(ALL, traffic({"v2": 300}), CONVERGED), "v2")
LOOKS = (
    Behaviour("a", reads="same"),
    Behaviour("ac", reads="either"),
    Behaviour("b", reads="alone"),
    Behaviour("c", reads="renamed"),
    Behaviour("", reads="changed", finding="meaning lost"),
)
MATCHES = [{"name": "m", "pathRegex": "/a"}]


def split(version: str, *weights: Any, **more: Any) -> dict[str, Any]:
    backends = [{"service": f"s{number}", "weight": weight} for number, weight in enumerate(weights)]
    return {
        "apiVersion": f"split.smi-spec.io/{version}",
        "kind": "TrafficSplit",
        "metadata": {"name": "a"},
        "spec": {"service": "root", "backends": backends, **more},
    }


def group(version: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": f"specs.smi-spec.io/{version}", "kind": "HTTPRouteGroup", "metadata": {}, **body}


def converted(sent: Any, meant: Any, read: Any, status: int = 200) -> Conversion:
    return Conversion(sent["kind"], "older", "newer", sent, meant, read, status)


QUANTITIES, NUMBERS = split("v1alpha1", 1, "500m"), split("v1alpha4", 2, 1)
AT_TOP, BELOW = group("v1alpha2", {"matches": MATCHES}), group("v1alpha4", {"spec": {"matches": MATCHES}})
CONDITIONED = split("v1alpha3", 1, matches=[{"kind": "HTTPRouteGroup", "name": "g"}])


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (converted(QUANTITIES, NUMBERS, split("v1alpha4", 2, 1)), "same"),
        (converted(QUANTITIES, NUMBERS, split("v1alpha4", 1000, 500)), "same"),
        (converted(QUANTITIES, NUMBERS, split("v1alpha4", 1, "500m")), "renamed"),
        (converted(QUANTITIES, NUMBERS, split("v1alpha4", 1, 500)), "changed"),
        (converted(QUANTITIES, NUMBERS, split("v1alpha4", 1, 1)), "changed"),
        (converted(QUANTITIES, NUMBERS, split("v1alpha4", 0, 0)), "changed"),
        (converted(split("v1alpha2", 2, 1), NUMBERS, split("v1alpha4", 2, 1)), "either"),
        (converted(split("v1alpha2", 2, 1), NUMBERS, split("v1alpha4", 2)), "changed"),
        (converted(AT_TOP, BELOW, BELOW), "same"),
        (converted(AT_TOP, BELOW, {**AT_TOP, "apiVersion": BELOW["apiVersion"]}), "renamed"),
        (converted(AT_TOP, BELOW, group("v1alpha4", {})), "changed"),
        (converted(AT_TOP, BELOW, group("v1alpha4", {"spec": {"matches": []}})), "changed"),
        (converted(CONDITIONED, CONDITIONED, split("v1alpha4", 1)), "changed"),
        (converted(AT_TOP, BELOW, {}, 500), "changed"),
        (converted(AT_TOP, BELOW, {"spec": None}), "changed"),
        (converted(QUANTITIES, NUMBERS, {"spec": {"backends": "odd"}}), "changed"),
        (converted(QUANTITIES, NUMBERS, {"spec": {"backends": [None, 1]}}), "changed"),
        (Conversion("HTTPRouteGroup", "v1alpha4"), "alone"),
    ],
)
def test_meaning_is_compared_and_not_form(one: Conversion, found: str) -> None:
    assert outcome(one) == found


def test_what_a_server_adds_changes_nothing() -> None:
    added = {**BELOW, "metadata": {"uid": "u"}, "status": {}}
    assert outcome(converted(AT_TOP, BELOW, added)) == "same"


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (converted(QUANTITIES, NUMBERS, NUMBERS), "read with the same meaning"),
        (
            converted(QUANTITIES, NUMBERS, split("v1alpha4", 1, "500m")),
            "read as it was written, under another apiVersion",
        ),
        (
            converted(QUANTITIES, NUMBERS, split("v1alpha4", 1, 500)),
            "spec.backends[0].weight was '2/3 of all', came back as '1/501 of all', "
            "spec.backends[1].weight was '1/3 of all', came back as '500/501 of all'",
        ),
        (converted(AT_TOP, BELOW, group("v1alpha4", {})), "spec is gone"),
        (converted(AT_TOP, BELOW, {}, 500), "not read (HTTP 500)"),
        (Conversion("HTTPRouteGroup", "v1alpha4"), "there is no other version to compare with"),
    ],
)
def test_the_outcome_is_described(one: Conversion, words: str) -> None:
    assert describe(one) == words


def read(*conversions: Conversion) -> Reading:
    questions = [TrialResult(f"{n}", "read", LOOKS, conversion=one) for n, one in enumerate(conversions)]
    (found,) = judge.reading(IN_FORCE, questions, IN_FORCE).readings
    return found


SAME = converted(QUANTITIES, NUMBERS, NUMBERS)
RENAMED = converted(QUANTITIES, NUMBERS, split("v1alpha4", 1, "500m"))
EITHER = converted(split("v1alpha2", 2, 1), NUMBERS, NUMBERS)
CHANGED = converted(QUANTITIES, NUMBERS, split("v1alpha4", 1, 500))


@pytest.mark.parametrize(
    ("conversions", "letter", "finding"),
    [
        ((SAME, EITHER), "a", ""),
        ((RENAMED, EITHER), "c", ""),
        ((EITHER, EITHER), "a", ""),
        ((SAME, RENAMED), "", ""),
        ((SAME, CHANGED), "", "meaning lost"),
        ((Conversion("TrafficSplit", "v1alpha4"),), "b", ""),
    ],
)
def test_the_reading_is_the_one_that_all_conversions_fit(
    conversions: tuple[Conversion, ...], letter: str, finding: str
) -> None:
    found = read(*conversions)
    assert (found.letter, found.finding) == (letter, finding)


def test_traffic_shows_nothing_of_what_was_read() -> None:
    question = TrialResult("q", "read", LOOKS, traffic({"v1": 1}), traffic({"v1": 1}))
    (found,) = judge.reading(IN_FORCE, [question], IN_FORCE).readings
    assert found.letter == ""

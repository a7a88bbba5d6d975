from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from conformance import catalogue
from conformance.judge.combinators import all_of, conditional_on, inconclusive, presumes
from conformance.judge.grants import access_enforced
from conformance.judge.routing import no_request_failed, nothing_reaches, preserved
from conformance.judge.smi_objects import groups_served
from conformance.judge.weights import weights_followed
from conformance.model.evidence import AccessTable, ApiRead, Convergence, Effect
from conformance.model.verdict import Judgement, Verdict
from conformance.report import store
from conformance.report.assemble import requirement_record
from conformance.report.conclusions import conclude
from conformance.report.document import Report
from conformance.report.verify import recompute

from .sample import sample, traffic

ENTRY = catalogue.load()["split-weighted-distribution"]
SETTLED = Convergence("v1 and v2 answer", 30, 1.0)
BEFORE = traffic("client", "root", {"root": 200})
GOOD = traffic("client", "root", {"v1": 5_950, "v2": 2_550})
BAD = traffic("client", "root", {"v1": 5_271, "v2": 3_229})


def divided() -> Judgement:
    return weights_followed(Effect(BEFORE, GOOD, SETTLED), {"v1": 70, "v2": 30})


LIVE: dict[str, Callable[[], Judgement]] = {
    "a pass": divided,
    "a fail": lambda: weights_followed(Effect(BEFORE, BAD, SETTLED), {"v1": 70, "v2": 30}),
    "inconclusive": lambda: inconclusive("the exec was cut off"),
    "several": lambda: all_of(weights=divided(), harm=no_request_failed(GOOD)),
    "nested": lambda: all_of(outer=all_of(inner=divided()), after=preserved(divided(), [GOOD], "v1")),
    "conditional": lambda: conditional_on(
        divided(), preserved(divided(), [GOOD], "v1"), "nothing to compare with"
    ),
    "a judgement as argument": lambda: preserved(divided(), traffic("client", "v1", {"v1": 9}), "v1"),
    "nothing reaches": lambda: nothing_reaches(Effect(GOOD, BEFORE, SETTLED), "v2"),
    "what it presumes failed": lambda: presumes(no_request_failed(BAD), "split-single-backend", "v1 got all"),
    "sets": lambda: groups_served({("split", "v1", "A")}, {("split", "v1", "B")}),
    "no cells": lambda: access_enforced(AccessTable([])),
}


def report_of(judgement: Judgement) -> Report:
    test = conclude("suites/test_a.py::test_b", "b", judgement)
    return sample([requirement_record(ENTRY, [test], otherwise="untested")])


def stored(judgement: Judgement) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(store.dumps(report_of(judgement)))
    return document


def differences(document: dict[str, Any]) -> list[str]:
    return [str(found) for found in recompute(store.loads(json.dumps(document)))]


@pytest.mark.parametrize("name", LIVE)
def test_a_stored_report_is_confirmed_by_its_own_evidence(name: str) -> None:
    assert differences(stored(LIVE[name]())) == []


def test_the_sample_of_live_judgements_has_every_verdict() -> None:
    assert {Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE} <= {make().verdict for make in LIVE.values()}


def test_a_verdict_that_was_changed_is_found() -> None:
    document = stored(LIVE["a fail"]())
    (record,) = document["requirements"]
    record["verdict"] = record["tests"][0]["verdict"] = "pass"
    document["headline"].update(verdict="pass", exit_code=0)
    found = differences(document)
    assert any("'pass', its evidence 'fail'" in line for line in found)


def test_evidence_that_was_changed_is_found() -> None:
    document = stored(divided())
    arguments = document["requirements"][0]["tests"][0]["basis"]["arguments"]
    sample = arguments["effect"]["sample"]
    sample["answered"] = sample["received"] = {"v1": 8_500}
    assert any("'pass', its evidence 'fail'" in line for line in differences(document))


def test_a_requirement_greener_than_its_tests_is_found() -> None:
    document = stored(LIVE["a fail"]())
    document["requirements"][0]["verdict"] = "pass"
    assert any(
        line.startswith("split-weighted-distribution: the report says 'pass'")
        for line in differences(document)
    )


def test_a_headline_greener_than_its_requirements_is_found() -> None:
    document = stored(LIVE["a fail"]())
    document["headline"].update(verdict="pass", exit_code=0)
    assert differences(document) == ["headline: the report says 'pass', its evidence 'fail'"]


def test_a_part_that_is_told_as_the_whole_is_found() -> None:
    document = stored(LIVE["a fail"]())
    document["headline"]["partial"] = not document["headline"]["partial"]
    (difference,) = differences(document)
    assert difference.startswith("headline of a part: the report says")


def test_counts_that_were_changed_are_found() -> None:
    document = stored(divided())
    document["counts"]["pass"] = 100
    assert any(line.startswith("counts") for line in differences(document))


def test_a_pass_without_a_basis_is_not_confirmed() -> None:
    report = report_of(Judgement(Verdict.PASS, "trust me"))
    assert [found.recomputed for found in recompute(report)] == ["nothing: no basis is recorded"]


def test_an_inconclusive_test_needs_no_basis() -> None:
    assert recompute(report_of(Judgement(Verdict.INCONCLUSIVE, "the exec was cut off"))) == []


@pytest.mark.parametrize(
    ("basis", "reason"),
    [
        ({"judge": "nobody", "arguments": {}}, "no judge nobody"),
        ({"judge": "no_request_failed", "arguments": {}}, "does not accept"),
        ({"judge": "no_request_failed", "arguments": {"sample": 3}}, "does not accept"),
        ({"judge": "no_request_failed", "arguments": {"sampel": {}}}, "no argument sampel"),
        ({"judge": "all_of", "arguments": {"a": {"judge": "nobody", "arguments": {}}}}, "no judge nobody"),
        ({"judge": "all_of", "arguments": {}}, "does not accept"),
    ],
    ids=["unknown judge", "missing argument", "wrong type", "unknown argument", "inside", "no parts"],
)
def test_a_basis_that_no_judge_takes_is_a_difference(basis: dict[str, Any], reason: str) -> None:
    document = stored(divided())
    document["requirements"][0]["tests"][0]["basis"] = basis
    assert any(reason in line for line in differences(document))


def test_an_answer_that_is_no_utf_8_does_not_stop_the_recomputation() -> None:
    read = ApiRead("client", "/", 200, {"kind": "\ud800"})
    judgement = all_of(one=inconclusive("\ud800"), two=divided())
    assert recompute(report_of(judgement)) == [] or read

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from conformance import catalogue
from conformance.catalogue import APIS
from conformance.model.verdict import Judgement, Verdict
from conformance.report import junit
from conformance.report.assemble import requirement_record
from conformance.report.conclusions import conclude
from conformance.report.document import Report

from .sample import sample

ENTRY = catalogue.load()["split-weighted-distribution"]


def parsed(report: Report) -> JUnitXml:
    return JUnitXml.fromstring(junit.render(report).encode())


def results(report: Report) -> dict[str, list[type]]:
    return {case.name: [type(r) for r in case.result] for suite in parsed(report) for case in suite}


def test_each_outcome_has_its_result() -> None:
    report = sample()
    found = results(report)
    kinds = {"pass": [], "fail": [Failure], "inconclusive": [Error]}
    for record in report.requirements:
        names = [name for name in found if name.partition(" ")[0] == record.id]
        assert names, record.id
        for name in names:
            assert found[name] == kinds.get(record.outcome, [Skipped]), name


def test_totals_agree_with_the_cases() -> None:
    document = parsed(sample())
    stated = [(s.tests, s.failures, s.errors, s.skipped) for s in document]
    overall = (document.tests, document.failures, document.errors, document.skipped)
    document.update_statistics()  # type: ignore[no-untyped-call]
    assert [(s.tests, s.failures, s.errors, s.skipped) for s in document] == stated
    assert (document.tests, document.failures, document.errors, document.skipped) == overall
    assert overall[1:3] == (3, 1)


def test_there_is_a_suite_for_each_api_and_its_cases_bear_its_name() -> None:
    document = parsed(sample())
    assert [suite.name for suite in document] == list(APIS)
    assert all(case.classname == suite.name for suite in document for case in suite)


def test_names_of_cases_are_unique() -> None:
    names = [(suite.name, case.name) for suite in parsed(sample()) for case in suite]
    assert len(set(names)) == len(names)


def test_a_failure_gives_the_whole_reason() -> None:
    report = sample()
    case = next(
        case for suite in parsed(report) for case in suite if case.name == "split-weighted-distribution"
    )
    (failure,) = case.result
    assert failure.message == "v1 got 62.0% and v2 38.0% of 8500 requests; v1 is outside its region"
    assert "v1: 62.01% observed, 70.00% expected, 68.07% to 71.93% accepted" in failure.text


def test_what_was_not_judged_is_skipped_with_the_reason() -> None:
    report = sample([requirement_record(ENTRY, otherwise="not reached")])
    (case, ended) = (case for suite in parsed(report) for case in suite)
    assert (ended.classname, [type(one) for one in ended.result]) == ("Run", [Error])
    assert [r.message for r in case.result] == ["not reached: the run ended earlier"]


def test_the_mesh_and_the_cluster_are_properties() -> None:
    properties = {p.name: p.value for suite in parsed(sample()) for p in suite.properties()}  # type: ignore[no-untyped-call]
    assert properties["mesh"] == "osm"
    assert properties["kubernetes"] == "v1.31.2"
    assert properties["verdict"] == "fail"
    assert properties["partial"] == "false"


@pytest.mark.parametrize(
    "words",
    ["\x00\x01\x1b[31m", "]]>", "<![CDATA[", "\ud800", "\ufffe\uffff", "&#0;", '"><testcase/>', "\x7f\x85"],
    ids=ascii,
)
def test_hostile_text_leaves_the_document_whole(words: str) -> None:
    test = conclude(words, words, Judgement(Verdict.FAIL, words, words, words))
    other = conclude(words + "2", words, Judgement(Verdict.INCONCLUSIVE, words))
    report = sample([requirement_record(ENTRY, [test, other], otherwise="untested", note=words)])
    document = parsed(report)
    assert [len(list(suite)) for suite in document] == [2]
    root = ET.fromstring(junit.render(report))
    assert {element.tag for element in root.iter()} == {
        "testsuites", "testsuite", "testcase", "properties", "property", "failure", "error",
    }  # fmt: skip


def test_an_interrupted_run_gives_a_whole_document() -> None:
    document = parsed(sample(interrupted=True))
    assert document.tests >= len(catalogue.load())
    assert document.skipped > 80


def test_a_run_that_ended_early_is_an_error_whatever_was_judged_before() -> None:
    report = sample([requirement_record(ENTRY, otherwise="not selected")], interrupted=True)
    (case,) = (case for suite in parsed(report) for case in suite if suite.name == "Run")
    (error,) = case.result
    assert error.message == report.headline.reason
    assert report.findings[0].text in error.text

"""The table of readings: a row for each open question, the same for whatever mesh."""

from __future__ import annotations

from conformance import catalogue
from conformance.report import html, junit
from conformance.report.assemble import build, conclusion, requirement_record
from conformance.report.document import Conclusion, Report, RequirementRecord, Run
from conformance.report.readings import readings_of
from conformance.verdict import Judgement, Reading, Verdict

from .sample import CLUSTER, MESH, STARTED, TIMING

QUESTION = "all weights zero"
ENTRY = catalogue.load()["split-all-weights-zero"]


def concluded(letter: str, version: str = "v1alpha4", finding: str = "") -> Conclusion:
    seen = Reading(QUESTION, letter, "nobody answered", finding)
    judgement = Judgement(Verdict.PASS, "seen", readings=(seen,))
    return conclusion("a.py::test_it", "It", judgement, versions={"split": version})


def record(*tests: Conclusion) -> RequirementRecord:
    return requirement_record(ENTRY, tests, otherwise="untested")


def report(*tests: Conclusion) -> Report:
    return build(
        suite_version="1",
        run=Run(id="r", started=STARTED, finished=STARTED, command=(), seed=1),
        mesh=MESH,
        cluster=CLUSTER,
        timing=TIMING,
        requirements=[record(*tests)],
    )


def test_a_row_gives_the_reading_in_words_and_those_that_it_is_not() -> None:
    (row,) = readings_of(record(concluded("a")))
    assert row.answer == "(a) no destination: requests fail"
    assert row.others == ("(b) the root service answers", "(c) equal shares", "(d) rejected")
    assert row.versions == ""


def test_versions_that_agree_share_a_row_and_others_do_not() -> None:
    assert len(readings_of(record(concluded("a"), concluded("a", "v1alpha1")))) == 1
    rows = readings_of(record(concluded("a"), concluded("b", "v1alpha1")))
    assert [(row.letter, row.versions) for row in rows] == [("a", "split v1alpha4"), ("b", "split v1alpha1")]


def test_what_is_none_of_the_readings_is_a_row_as_well() -> None:
    (row,) = readings_of(record(concluded("")))
    assert row.answer == "none of the readings"


def test_a_question_that_could_not_be_observed_keeps_its_row() -> None:
    unseen = conclusion("a.py::test_it", "It", Judgement(Verdict.INCONCLUSIVE, "not observed: no effect"))
    row, *others = readings_of(record(unseen))
    assert {one.answer for one in others} == {"not observed"}
    assert (row.question, row.answer, row.seen) == (QUESTION, "not observed", "not observed: no effect")


def test_what_no_reading_excuses_is_a_finding_of_the_report_once() -> None:
    spoken = report(concluded("", finding="all is lost"), concluded("", "v1alpha1", finding="all is lost"))
    (finding,) = spoken.findings
    assert (finding.severity, finding.text) == ("warning", "split-all-weights-zero: all is lost")
    assert spoken.requirements[0].outcome == "observed"


def test_page_and_junit_tell_the_reading() -> None:
    made = report(concluded("a"))
    assert "(a) no destination: requests fail" in html.page(made)
    assert f"{QUESTION}: (a) no destination: requests fail" in junit.render(made)

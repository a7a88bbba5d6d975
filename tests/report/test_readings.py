"""The table of readings: a row for each open question, the same for whatever mesh."""

from __future__ import annotations

from collections.abc import Sequence

from conformance import catalogue
from conformance.model.verdict import Judgement, Reading, Verdict
from conformance.report import html, junit, terminal
from conformance.report.assemble import build, requirement_record
from conformance.report.conclusions import conclude
from conformance.report.document import Conclusion, Report, RequirementRecord, Run
from conformance.report.readings import reading_rows

from .sample import CLUSTER, MESH, STARTED, TIMING

QUESTION = "all weights zero"
ENTRY = catalogue.load()["split-all-weights-zero"]


def concluded(letter: str, version: str = "v1alpha4", finding: str = "") -> Conclusion:
    seen = Reading(QUESTION, letter, "nobody answered", finding)
    judgement = Judgement(Verdict.PASS, "seen", readings=(seen,))
    return conclude("a.py::test_it", "It", judgement, versions={"split": version})


def record(*tests: Conclusion) -> RequirementRecord:
    return requirement_record(ENTRY, tests, otherwise="untested")


def report(*tests: Conclusion, others: Sequence[RequirementRecord] = ()) -> Report:
    return build(
        suite_version="1",
        run=Run(id="r", started=STARTED, finished=STARTED, command=(), seed=1),
        mesh=MESH,
        cluster=CLUSTER,
        timing=TIMING,
        requirements=[record(*tests), *others],
    )


def test_a_row_gives_the_reading_in_words_and_those_that_it_is_not() -> None:
    (row,) = reading_rows(record(concluded("a")))
    assert row.answer == "(a) no destination: requests fail"
    assert row.others == ("(b) the root service answers", "(c) equal shares", "(d) rejected")
    assert row.versions == ""


def test_versions_that_agree_share_a_row_and_others_do_not() -> None:
    assert len(reading_rows(record(concluded("a"), concluded("a", "v1alpha1")))) == 1
    rows = reading_rows(record(concluded("a"), concluded("b", "v1alpha1")))
    assert [(row.letter, row.versions) for row in rows] == [("a", "split v1alpha4"), ("b", "split v1alpha1")]


def test_what_is_none_of_the_readings_is_a_row_as_well() -> None:
    (row,) = reading_rows(record(concluded("")))
    assert row.answer == "none of the readings"


def test_a_question_that_could_not_be_observed_keeps_its_row() -> None:
    unseen = conclude("a.py::test_it", "It", Judgement(Verdict.INCONCLUSIVE, "not observed: no effect"))
    row, *others = reading_rows(record(unseen))
    assert {one.answer for one in others} == {"not observed"}
    assert (row.question, row.answer, row.seen) == (QUESTION, "not observed", "not observed: no effect")


def test_what_no_reading_excuses_is_a_finding_of_the_report_once() -> None:
    spoken = report(concluded("", finding="all is lost"), concluded("", "v1alpha1", finding="all is lost"))
    (finding,) = spoken.findings
    assert (finding.severity, finding.text) == ("warning", "split-all-weights-zero: all is lost")
    assert spoken.requirements[0].outcome == "observed"


def test_what_is_the_same_of_several_requirements_is_one_finding() -> None:
    stopped = concluded("", finding="it stops")
    others = [catalogue.load()[one] for one in ("split-self-reference", "split-degenerate-spec")]
    made = report(
        stopped, others=[requirement_record(one, [stopped], otherwise="untested") for one in others]
    )
    assert [one.text for one in made.findings] == [
        "split-all-weights-zero, split-self-reference, split-degenerate-spec: it stops"
    ]


class TestAQuestionThatCouldNotBeObserved:
    lone = Reading("a lone backend of weight zero", "b", "v1 answered")
    untold = Reading(QUESTION, "", "v1 answered, which says nothing", observed=False)

    def made(self, *readings: Reading) -> RequirementRecord:
        verdict = Verdict.PASS if self.lone in readings else Verdict.INCONCLUSIVE
        return record(conclude("a.py::test_it", "It", Judgement(verdict, "what was seen", readings=readings)))

    def test_is_named_beside_those_that_were(self) -> None:
        partly = self.made(self.untold, self.lone)
        assert partly.outcome == "observed"
        assert partly.note.startswith("2 of its 3 questions not observed: all weights zero; ")
        first, second = reading_rows(partly)
        assert (first.answer, first.observed) == ("not observed", False)
        assert (second.letter, second.observed) == ("b", True)
        lines = terminal.closing_lines(report(*partly.tests))
        assert any(line.startswith(f"  ◎ {ENTRY.id}: questions not observed: {QUESTION}; ") for line in lines)

    def test_makes_the_requirement_not_observed_where_there_is_no_other(self) -> None:
        unseen = self.made(self.untold)
        assert (unseen.outcome, unseen.note) == ("not observed", "")
        spoken = report(*unseen.tests)
        assert spoken.counts["observed"] == 0
        assert terminal.closing_lines(spoken)[1:4] == [
            f"  ◌ {ENTRY.id} (ambiguous)",
            "      what was seen",
            "requirements: 1 not observed",
        ]
        page = html.page(spoken)
        assert "<h2>Not observed</h2>" in page
        assert "smi-badge smi-not-observed" in page
        assert "◎" not in page
        assert "not observed: an ambiguous requirement without an observed reading" in junit.render(spoken)


def test_page_and_junit_tell_the_reading() -> None:
    made = report(concluded("a"))
    assert "(a) no destination: requests fail" in html.page(made)
    assert f"{QUESTION}: (a) no destination: requests fail" in junit.render(made)

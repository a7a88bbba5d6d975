"""Causes come before symptoms, in every view of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance import catalogue, judge
from conformance.catalogue.foundations import GRANT, SPLIT
from conformance.model.verdict import Basis, Judgement, Verdict
from conformance.report import assemble, html, terminal
from conformance.report.causes import causes
from conformance.report.conclusions import conclude
from conformance.report.document import Report, RequirementRecord

from .sample import sample

STANDING = ("access-match-subset", "access-only-listed-sources")


def with_cause() -> Report:
    """The sample report, in which no grant took effect, and two requirements stand on that."""
    failed = Judgement(
        Verdict.FAIL, "'/plain' is granted, but refused", basis=Basis("access_enforced", {"results": []})
    )
    found = {GRANT: failed} | {one: judge.stands_on(GRANT, failed.summary) for one in STANDING}
    records = [
        assemble.requirement_record(
            catalogue.load()[one], [conclude(f"{one}.py::test", one, judgement, 1.0)], otherwise="untested"
        )
        for one, judgement in found.items()
    ]
    return sample(records)


def test_a_cause_names_what_stands_on_it() -> None:
    (cause,) = causes(with_cause())
    assert (cause.basic, cause.dependents) == (GRANT, STANDING)
    assert cause.sentence == (f"no TrafficTarget took effect ({GRANT}); 2 requirements stand on it")


def test_a_report_without_such_a_failure_has_no_cause() -> None:
    assert causes(sample()) == []
    assert SPLIT not in {one.basic for one in causes(with_cause())}


def test_a_cause_that_is_not_basic_is_told_by_its_test() -> None:
    zero, edits = "split-zero-weight-gets-nothing", "split-live-edits"
    failed = Judgement(Verdict.FAIL, "2 requests reached v2", basis=Basis("no_request_failed", {}))
    found = {zero: [failed], edits: [judge.presumes(failed, zero, failed.summary)]}
    (cause,) = causes(sample(_records(found)))
    assert cause.sentence == f"does not hold: nothing reaches it ({zero}); 1 requirement stands on it"
    # A failure of its own is told as one, whatever else was not judged.
    assert causes(sample(_records({**found, edits: [*found[edits], failed]}))) == []


def _records(found: Mapping[str, Sequence[Judgement]]) -> list[RequirementRecord]:
    return [
        assemble.requirement_record(
            catalogue.load()[one],
            [conclude(f"{one}.py::test", "Nothing reaches it", judgement, 1.0) for judgement in judgements],
            otherwise="untested",
        )
        for one, judgements in found.items()
    ]


def test_the_terminal_tells_the_cause_first_and_what_stands_on_it_once() -> None:
    lines = terminal.closing_lines(with_cause())
    assert lines[1].startswith("  ✗ no TrafficTarget took effect")
    assert lines[2].strip() == ", ".join(STANDING)
    assert sum(STANDING[0] in line for line in lines) == 1


def test_the_page_tells_the_cause_first() -> None:
    page = html.page(with_cause())
    assert page.index("Causes</h2>") < page.index("Failed</h2>")
    cause = page[page.index("Causes</h2>") : page.index("Failed</h2>")]
    assert all(f'href="#{one}"' in cause for one in (GRANT, *STANDING))


def test_the_page_has_no_list_of_the_inconclusive_where_a_cause_explains_them_all() -> None:
    zero, edits = "split-zero-weight-gets-nothing", "split-live-edits"
    failed = Judgement(Verdict.FAIL, "2 requests reached v2", basis=Basis("no_request_failed", {}))
    found = {zero: [failed], edits: [judge.presumes(failed, zero, failed.summary)]}
    page = html.page(sample(_records(found)))
    assert "1 requirement stands on it: <a" in page
    assert "Inconclusive</h2>" not in page
    assert "Inconclusive</h2>" in html.page(
        sample(_records({**found, edits: [judge.inconclusive("cut off")]}))
    )

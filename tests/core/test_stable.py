"""What counts as a change between runs."""

from __future__ import annotations

from pathlib import Path

from conformance.report import store
from tools.stable import changing, said


def test_runs_that_say_the_same_change_nothing() -> None:
    assert changing([{"a": "pass", "b": "fail"}, {"b": "fail", "a": "pass"}]) == {}


def test_a_requirement_that_is_told_differently_or_not_at_all_has_changed() -> None:
    runs = [{"a": "pass", "b": "observed; q: a"}, {"a": "pass", "b": "observed; q: b"}, {"a": "pass"}]
    assert changing(runs) == {"b": ["observed; q: a", "observed; q: b", "nothing"]}


def test_a_run_says_its_verdicts_and_the_readings_that_it_saw() -> None:
    report = store.read(Path(__file__).parents[2] / "reports/sample")
    told = said(report)
    assert told.keys() == {record.id for record in report.requirements}
    readings = [
        (record.id, each) for record in report.requirements for test in record.tests for each in test.readings
    ]
    assert readings
    assert all(f"{each.question}: {each.letter}" in told[one] for one, each in readings)
    assert all(told[record.id].startswith(record.outcome) for record in report.requirements)

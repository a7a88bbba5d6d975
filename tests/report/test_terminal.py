from __future__ import annotations

from pathlib import Path

from conformance import catalogue
from conformance.model.verdict import Judgement, Verdict
from conformance.report.assemble import requirement_record
from conformance.report.conclusions import conclude
from conformance.report.terminal import MOST, closing_lines

from .sample import passed, sample


def test_the_closing_lines_say_what_a_reader_must_know() -> None:
    report = sample()
    assert closing_lines(report, Path("reports/r7k2"))[:4] == [
        "✗ FAIL: 3 of 85 core requirements failed (osm on Kubernetes v1.31.2)",
        "  ✗ split-weighted-distribution",
        "      v1 got 62.0% and v2 38.0% of 8500 requests; v1 is outside its region",
        "      look at: 62/38 is what weights rounded to quarters give: look at how weights are scaled",
    ]
    assert closing_lines(report, Path("reports/r7k2"))[-3:] == [
        "requirements: 98 pass, 3 fail, 1 inconclusive, 27 observed, 1 not observed, 5 not claimed, "
        "42 untested, 4 not selected",
        "time: 3 min 41 s (setup 18.2 s, waiting 1 min 15 s, traffic 1 min 21 s, judging 0.90 s, "
        "clean-up 22.0 s, other 24.1 s)",
        "report: reports/r7k2/report.html",
    ]


def test_a_pass_is_told_without_a_list() -> None:
    entry = catalogue.load()["split-single-backend"]
    report = sample([requirement_record(entry, [passed(entry.id)], otherwise="untested")])
    lines = closing_lines(report.model_copy(update={"findings": ()}))
    assert lines[0] == (
        "✓ PASS: all 1 judged core requirements hold; the catalogue has no others (osm on Kubernetes v1.31.2)"
    )
    assert [line.partition(":")[0] for line in lines[1:]] == ["requirements", "time"]


def test_a_failed_extended_requirement_is_named_as_such() -> None:
    entry = next(e for e in catalogue.load().values() if e.level == "extended")
    failed = conclude("t", "t", Judgement(Verdict.FAIL, "seen"))
    lines = closing_lines(sample([requirement_record(entry, [failed], otherwise="untested")]))
    assert f"  ✗ {entry.id} (extended)" in lines


def test_what_a_mesh_answered_cannot_steer_the_terminal() -> None:
    entry = catalogue.load()["split-single-backend"]
    hostile = conclude("t", "t", Judgement(Verdict.FAIL, "\x1b[2J\x07gone\r\nPASS\u202e", hint="\x9b1m"))
    lines = closing_lines(sample([requirement_record(entry, [hostile], otherwise="untested")]))
    assert "      [2J gone PASS" in lines
    assert all(line.isprintable() for line in lines)


def test_what_is_the_same_of_several_requirements_is_told_once() -> None:
    stopped = conclude("t", "t", Judgement(Verdict.INCONCLUSIVE, "no pod is ready", hint="see the pods"))
    other = conclude("u", "u", Judgement(Verdict.INCONCLUSIVE, "nothing was sent"))
    first, second = (catalogue.load()[one] for one in ("split-single-backend", "split-live-edits"))
    report = sample(
        [
            requirement_record(first, [stopped, stopped], otherwise="untested"),
            requirement_record(second, [stopped, other], otherwise="untested"),
        ]
    )
    assert closing_lines(report)[1:7] == [
        "  ? split-single-backend",
        "      no pod is ready",
        "      look at: see the pods",
        "  ? split-live-edits",
        "      as for split-single-backend",
        "      nothing was sent",
    ]


def test_a_long_list_is_cut_off_with_its_number() -> None:
    failed = conclude("t", "t", Judgement(Verdict.FAIL, "seen"))
    entries = [e for e in catalogue.load().values() if e.level == "core"][: MOST + 3]
    lines = closing_lines(sample([requirement_record(e, [failed], otherwise="untested") for e in entries]))
    assert "  ✗ and 3 more" in lines

"""What counts as a difference between two clusters."""

from __future__ import annotations

import json
from pathlib import Path

from conformance import catalogue, judge
from conformance.campaign.fault_results import FaultOutcome
from conformance.model.evidence import Environment
from conformance.model.verdict import Judgement, Verdict
from conformance.report import store
from conformance.report.assemble import requirement_record
from conformance.report.conclusions import conclude
from conformance.report.document import Report
from smi_reference_mesh.faults import Fault
from tests.report.sample import sample
from tools.same import campaign, different, newest, starved

FAULT = Fault("ignored", "No weights.", frozenset({"split-live-edits"}))


def written(folder: Path, verdict: Verdict, *readings: str) -> Path:
    outcome = FaultOutcome(
        FAULT, {"split-live-edits": verdict}, {}, 1.0, {"split-live-edits": frozenset(readings)}
    )
    file = folder / "faults.json"
    file.write_text(json.dumps([outcome.as_json()]), encoding="utf-8")
    return file


def test_a_verdict_and_a_reading_are_compared(tmp_path: Path) -> None:
    assert campaign(tmp_path / "none.json") == {}
    ours = campaign(written(tmp_path, Verdict.FAIL, "zero: a"))["ignored"]
    assert ours == {"split-live-edits": "fail; zero: a"}
    assert list(different(ours, ours)) == []
    for verdict, reading in ((Verdict.PASS, "zero: a"), (Verdict.FAIL, "zero: b")):
        theirs = campaign(written(tmp_path, verdict, reading))["ignored"]
        said = f"split-live-edits: embedded fail; zero: a, kind {verdict.value}; {reading}"
        assert list(different(ours, theirs)) == [said]


def test_what_only_one_judged_is_a_difference() -> None:
    assert list(different({}, {"a": "pass"})) == ["a: embedded not judged, kind pass"]
    assert list(different({"a": "pass"}, {})) == ["a: embedded pass, kind not judged"]


def told(level: str, judgement: Judgement) -> Report:
    """A report of one requirement of a level."""
    entry = next(one for one in catalogue.load().values() if one.level == level)
    test = conclude("test_it", "It", judgement)
    return sample([requirement_record(entry, [test], otherwise="untested")])


def test_what_a_starved_machine_could_not_tell_is_no_difference_where_it_is_only_observed() -> None:
    slow = Environment(control_p99_us=850_000, control_failures=0)
    seen = Judgement(Verdict.PASS, "seen")
    untold = judge.discount_if_starved(Judgement(Verdict.FAIL, "not seen"), slow)
    ambiguous, core = (told(level, untold) for level in ("ambiguous", "core"))
    assert starved(ambiguous) == {ambiguous.requirements[0].id}
    assert starved(core) == set()
    assert starved(told("ambiguous", seen), told("ambiguous", judge.inconclusive("cut off"))) == set()


def test_a_part_and_a_run_that_ended_early_are_not_compared(tmp_path: Path) -> None:
    entry = next(one for one in catalogue.load().values() if one.level == "core")
    passed = conclude("test_it", "It", Judgement(Verdict.PASS, "seen"))
    other = next(one for one in catalogue.load().values() if one.level == "core" and one != entry)
    whole = [requirement_record(entry, [passed], otherwise="untested")]
    part = [*whole, requirement_record(other, otherwise="not selected")]
    cut = [*whole, requirement_record(other, otherwise="not reached")]
    for name, records in (("part", part), ("cut", cut)):
        store.write(sample(records), tmp_path / name)
    assert newest(tmp_path, "osm", embedded=False) is None
    store.write(sample(whole), tmp_path / "whole")
    assert newest(tmp_path, "osm", embedded=False) == sample(whole)

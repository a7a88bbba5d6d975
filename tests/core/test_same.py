"""What counts as a difference between two clusters."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.outcomes import Outcome
from conformance.verdict import Verdict
from reference.faults import Fault
from tests.same import campaign, different

FAULT = Fault("ignored", "No weights.", frozenset({"split-live-edits"}))


def written(folder: Path, verdict: Verdict, *readings: str) -> Path:
    outcome = Outcome(
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

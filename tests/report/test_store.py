from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from conformance.report import schema, store
from conformance.text import files

from .sample import sample


def test_a_report_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    report = sample()
    document, _ = store.write(report, tmp_path / "new" / "place")
    assert store.read(document) == report
    assert store.read(document.parent) == report


def test_writing_leaves_no_temporary_file(tmp_path: Path) -> None:
    for _ in range(2):
        store.write(sample(()), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "report.json"]


def test_a_reader_never_sees_half_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def fail(source: str, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.replace(path, "new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("report.json", "old")]


def test_a_written_report_can_be_read_by_others(tmp_path: Path) -> None:
    document, _ = store.write(sample(()), tmp_path)
    assert document.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Invalid JSON"),
        ("[]", "Input should be an object"),
        ('{"schema_version": 2}', r"^some.json: schema_version 2 .* reads 3: use the suite that wrote it"),
    ],
    ids=["empty", "a list", "another version"],
)
def test_what_is_no_report_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(store.ReportError, match=reason):
        store.loads(text, "some.json")


def test_an_unknown_field_is_refused() -> None:
    document = json.loads(store.dumps(sample(())))
    with pytest.raises(store.ReportError, match="surprise"):
        store.loads(json.dumps({**document, "surprise": 1}))


def test_the_published_schema_is_the_models() -> None:
    assert schema.published() == schema.dumps(), "run python -m conformance.report.schema"


def test_a_written_report_satisfies_the_published_schema() -> None:
    published = json.loads(schema.published())
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.Draft202012Validator(published).validate(json.loads(store.dumps(sample())))


def test_the_published_schema_refuses_an_unknown_verdict() -> None:
    document = json.loads(store.dumps(sample()))
    document["headline"]["verdict"] = "mostly fine"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json.loads(schema.published()))

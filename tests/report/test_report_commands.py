"""`smi-conformance report`: what can be made of a stored report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.cli import main
from conformance.report import html, store

from .test_verify import divided, report_of


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    store.write(report_of(divided()), tmp_path / "r1")
    return tmp_path / "r1"


def forged(directory: Path) -> None:
    path = directory / store.JSON
    document = json.loads(path.read_text())
    document["headline"]["reason"] = "all is well\x1b[2J\n::error::"
    path.write_text(json.dumps(document))


class TestVerify:
    def test_confirms_what_follows_from_the_evidence(
        self, stored: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main.main(["report", "verify", str(stored / store.JSON)]) == 0
        said = capsys.readouterr().out
        assert said.startswith("✓ report ")
        assert "all 1 judgements follow from the evidence" in said

    def test_lists_what_does_not_in_lines_that_steer_no_terminal(
        self, stored: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        forged(stored)
        assert main.main(["report", "verify", str(stored)]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("headline: the report says 'all is well")
        assert lines[-1].startswith("✗ report ")
        assert all(line.isprintable() for line in lines)

    @pytest.mark.parametrize("content", [None, "{}", "no JSON"])
    def test_of_what_is_no_report_is_one_line(
        self, tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "report.json"
        if content is not None:
            path.write_text(content)
        assert main.main(["report", "verify", str(path)]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert str(path) in said.err
        assert said.err.count("\n") == 1


class TestHtml:
    def test_draws_the_page_into_a_file(self, stored: Path, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        assert main.main(["report", "html", str(stored), "-o", str(page)]) == 0
        assert page.read_text() == html.page(store.read(stored))

    def test_draws_it_to_standard_output(self, stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["report", "html", str(stored)]) == 0
        assert capsys.readouterr().out == html.page(store.read(stored)) + "\n"

    def test_that_cannot_be_written_is_one_line(
        self, stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        nowhere = tmp_path / "not" / "there.html"
        assert main.main(["report", "html", str(stored), "-o", str(nowhere)]) == 2
        assert capsys.readouterr().err.startswith(f"error: cannot write the page to {nowhere}: ")

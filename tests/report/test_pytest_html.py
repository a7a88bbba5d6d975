from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from .test_html import HOSTILE

pytest_plugins = ["pytester"]

PLUGIN = """
from __future__ import annotations
import sys
from pathlib import Path
import pytest
from conformance.report.pytest_html import switch_on
from tests.report.sample import sample

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    switch_on(config, Path("out/here/report.html"), lambda: {report})

def pytest_metadata(metadata):
    metadata["Python"] = "<script>alert(1)</script>"
    metadata["SECRET_OF_CI"] = "hunter2"
"""
TESTS = """
import pytest
def test_passes(): pass
def test_fails(): assert 0, "<script>alert(2)</script>"
@pytest.mark.parametrize("it", [1], ids=["<img src=x onerror=alert(3)>"])
def test_hostile(it): pass
@pytest.mark.skip(reason="no")
def test_skipped(): pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return pytester


def result_of(run: pytest.Pytester, report: str, tests: str = TESTS) -> pytest.RunResult:
    run.makeconftest(PLUGIN.format(report=report))
    run.makepyfile(tests)
    return run.runpytest_inprocess("-W", "error", "-p", "no:cacheprovider", no_reraise_ctrlc=True)


def page(run: pytest.Pytester) -> str:
    return (run.path / "out/here/report.html").read_text(encoding="utf-8")


def blob(text: str) -> dict[str, object]:
    found = re.search(r'data-jsonblob="([^"]*)"', text)
    assert found is not None
    data: dict[str, object] = json.loads(unescape(found[1]))
    return data


def test_the_report_is_one_file_with_the_requirements_first(run: pytest.Pytester) -> None:
    result = result_of(run, "sample()")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    assert [path.name for path in (run.path / "out/here").iterdir()] == ["report.html"]
    text = page(run)
    assert '<title id="head-title">SMI conformance of osm</title>' in text
    assert text.index("3 of 85 core requirements failed") < text.index('id="results-table"')
    assert not re.search(r"<link|<script[^>]+src", text)


def test_pytest_html_neither_prints_nor_warns(run: pytest.Pytester) -> None:
    result = result_of(run, "sample()")
    result.stdout.no_fnmatch_line("*html*report*")
    result.stdout.no_fnmatch_line("*arning*")
    assert result.stderr.str() == ""


def test_ids_and_environment_that_pytest_html_does_not_escape_are_escaped(run: pytest.Pytester) -> None:
    result_of(run, "sample()")
    data = blob(page(run))
    assert data["environment"]["Python"] == "&lt;script&gt;alert(1)&lt;/script&gt;"  # type: ignore[index]
    rows = json.dumps(data["tests"], default=str)
    cells = re.findall(r"<td class=[^>]*col-testId[^>]*>(.*?)</td>", rows)
    assert len(cells) == 4
    assert not any("<" in cell for cell in cells)


def test_variables_of_the_ci_system_stay_out_of_the_report(run: pytest.Pytester) -> None:
    result_of(run, "sample()")
    assert "hunter2" not in page(run)


def test_an_interrupted_run_leaves_a_report(run: pytest.Pytester) -> None:
    tests = "def test_a(): pass\ndef test_b(): raise KeyboardInterrupt\ndef test_c(): pass\n"
    result = result_of(run, "sample(interrupted=True)", tests)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "This run was interrupted." in page(run)


def test_no_page_is_left_where_there_is_nothing_to_report(run: pytest.Pytester) -> None:
    result_of(run, "None")
    assert not (run.path / "out/here").exists()


@pytest.mark.parametrize("words", HOSTILE[:2])
def test_what_a_mesh_answered_stays_text_beside_the_script_of_pytest_html(
    run: pytest.Pytester, words: str
) -> None:
    report = f"__import__('tests.report.test_html', fromlist=['x']).spoiled({words!r})"
    result_of(run, report, "def test_a(): pass\n")
    text = page(run)
    assert words not in text
    assert text.count("<script") == 1

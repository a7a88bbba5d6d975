"""The report inside pytest-html's page: our part first, its table of tests below, folded away.

pytest-html escapes neither test ids, nor the values of its environment table, nor what its hooks hand it.
The last is escaped by our templates; the first two are escaped here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from html import escape
from pathlib import Path
from typing import Any, Protocol

import pytest

from conformance.report import html
from conformance.report.document import Report

ENVIRONMENT = ("Python", "Platform", "Packages", "Plugins")
"""What the page tells of the machine that the suite ran on; variables of a CI system stay out of a report
that is handed on."""


class ReportData(Protocol):
    """The part of pytest-html's data that its title hook is given and that is used here."""

    title: str
    data: Mapping[str, Any]

    def set_data(self, key: str, value: object) -> None: ...


def switch_on(config: pytest.Config, path: Path, get_report: Callable[[], Report | None]) -> None:
    """Have pytest-html write one self-contained page to the path when the session ends.

    Call it from a ``pytest_configure`` marked ``tryfirst``: pytest-html reads its options in its own.
    ``get_report`` is called once, after every other ``pytest_sessionfinish``; it must not raise. Where
    it gives None, because nothing was run, no page is left behind.
    """
    config.option.htmlpath = str(path)
    config.option.self_contained_html = True
    config.pluginmanager.register(ReportHtml(get_report), "smi-conformance-html")


class ReportHtml:
    """The hooks of pytest-html that put the report into its page."""

    def __init__(self, get_report: Callable[[], Report | None]) -> None:
        self._get_report = get_report
        self._page: ReportData | None = None
        self._report: Report | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: ReportData) -> None:
        """Name the page at the session's start; the mesh is known at its end."""
        report.title = "SMI conformance"
        environment = report.data.get("environment", {})
        report.set_data("environment", {k: _safe(environment[k]) for k in ENVIRONMENT if k in environment})
        self._page = report

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str], postfix: list[str]) -> None:
        """Put the report before pytest-html's own summary, which a fold after it uncovers."""
        self._report = self._get_report()
        if self._report is None:
            return
        if self._page is not None:
            self._page.title = html.title(self._report)
        prefix.extend(html.summary_html(self._report))
        postfix.append(html.pytest_table_toggle())

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Replace the test's id, which a parameter taken from an answer may have made hostile."""
        if len(cells) > 1:
            name = report.nodeid if report.when == "call" else f"{report.nodeid}::{report.when}"
            cells[1] = f'<td class="col-testId">{escape(name)}</td>'

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Keep pytest-html from announcing its page, which the suite's closing lines name; or remove it."""
        path = session.config.getoption("htmlpath", None)
        yield
        manager = session.config.pluginmanager
        for plugin in manager.get_plugins():
            if _writes_the_page(plugin):
                manager.unregister(plugin)
        if self._report is None and path:
            _remove(Path(path))


def _writes_the_page(plugin: object) -> bool:
    kind = type(plugin)
    return kind.__module__.startswith("pytest_html.") and hasattr(kind, "pytest_terminal_summary")


def _remove(page: Path) -> None:
    """Remove a page without a report in it, and its directory where it was made for the page alone."""
    page.unlink(missing_ok=True)
    if page.parent.is_dir() and not any(page.parent.iterdir()):
        page.parent.rmdir()


def _safe(value: object) -> object:
    """The value with all its text escaped: pytest-html sets it as markup."""
    if isinstance(value, Mapping):
        return {escape(str(key)): _safe(item) for key, item in value.items()}
    return escape(str(value))

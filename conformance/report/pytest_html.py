"""The report inside pytest-html's page: our part first, its table of tests below, collapsed.

pytest-html escapes neither test ids, nor the values of its environment table, nor the output of its hooks.
Our templates escape the last; the first two are escaped here.
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
"""Rows of pytest-html's environment table in the page; variables of a CI system must not be published."""


class ReportData(Protocol):
    """The members used here of the argument of pytest-html's title hook."""

    title: str
    data: Mapping[str, Any]

    def set_data(self, key: str, value: object) -> None: ...


def switch_on(config: pytest.Config, path: Path, get_report: Callable[[], Report | None]) -> None:
    """Make pytest-html write one self-contained page to the path at the session's end.

    Call it from a ``pytest_configure`` marked ``tryfirst``: pytest-html reads its options in its own.
    ``get_report`` is called once, after every other ``pytest_sessionfinish``; it must not raise. If it
    returns None, because no test ran, no page remains.
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
        """Set a title at the session's start; the mesh's name is known only at its end."""
        report.title = "SMI conformance"
        environment = report.data.get("environment", {})
        report.set_data("environment", {k: _safe(environment[k]) for k in ENVIRONMENT if k in environment})
        self._page = report

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str], postfix: list[str]) -> None:
        """Put the report before pytest-html's own summary, and the toggle of its table of tests after it."""
        self._report = self._get_report()
        if self._report is None:
            return
        if self._page is not None:
            self._page.title = html.title(self._report)
        prefix.extend(html.summary_html(self._report))
        postfix.append(html.pytest_table_toggle())

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Escape the test's id: a parameter from a mesh's answer may have made it hostile."""
        if len(cells) > 1:
            name = report.nodeid if report.when == "call" else f"{report.nodeid}::{report.when}"
            cells[1] = f'<td class="col-testId">{escape(name)}</td>'

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Suppress pytest-html's announcement, as our closing lines name the page; remove an empty page."""
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
    """Remove a page without a report, and its directory if empty."""
    page.unlink(missing_ok=True)
    if page.parent.is_dir() and not any(page.parent.iterdir()):
        page.parent.rmdir()


def _safe(value: object) -> object:
    """The value with all text in it escaped, as pytest-html inserts it as markup."""
    if isinstance(value, Mapping):
        return {escape(str(key)): _safe(item) for key, item in value.items()}
    return escape(str(value))

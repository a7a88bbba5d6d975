"""The report as one self-contained HTML page, without scripts.

Answers of a mesh are hostile input. The templates escape every value (jinja2's autoescape), no value is part
of a script, a style or an unquoted attribute, and no link address comes from a mesh.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from conformance.catalogue import APIS, LEVELS
from conformance.report import charts, formatting, outcomes, readings
from conformance.report.causes import blocked_by, causes
from conformance.report.document import Report, RequirementRecord

ROWS = {"open": 40, "folded": 10}
"""Pieces of evidence shown for a test that failed or is inconclusive, and for any other."""

LONGEST = {"open": 1_600, "folded": 600}
"""Characters shown of each API response, likewise."""


def title(report: Report) -> str:
    """The page's title, with the mesh and its version."""
    return f"SMI conformance of {report.mesh.title}"


def summary_html(report: Report) -> list[str]:
    """The report's body as fragments, in order: style, overview, the requirements by API, diagnostics."""
    style = Markup("<style>{}</style>").format(Markup(_css()))  # noqa: S704 - our own file, no value in it
    names = ("overview.jinja2", "requirements.jinja2", "diagnostics.jinja2")
    return [str(style), *(_render(name, report) for name in names)]


def pytest_table_toggle() -> str:
    """The toggle of pytest-html's own table of tests below the report; the style sheet hides the table."""
    return _environment().get_template("runner.jinja2").render()


def page(report: Report) -> str:
    """A whole page from a stored report, without pytest-html's own table of tests."""
    fragments = Markup("\n").join(Markup(part) for part in summary_html(report))  # noqa: S704 - just rendered
    return _render("page.jinja2", report, title=title(report), body=fragments)


def _render(template: str, report: Report, **more: Any) -> str:
    return _environment().get_template(template).render(report=report, **more)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("conformance.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {
            "percent": formatting.percent,
            "seconds": formatting.seconds,
            "milliseconds": formatting.milliseconds,
            "counted": formatting.format_counts,
            "shortened": formatting.shortened,
            "ranges": formatting.ranges,
            "source": formatting.source,
            "plot": charts.plot,
            "causes": causes,
            "all_reading_rows": readings.all_reading_rows,
            "reading_rows": readings.reading_rows,
            "observed_readings": readings.observed_readings,
            "tally": outcomes.tally,
            "slices": charts.slices,
            "moment": _moment,
            "slug": _slug,
        }
    )
    environment.tests["blocked"] = lambda record: bool(blocked_by(record))
    environment.globals.update(
        apis=APIS,
        levels=LEVELS,
        symbols=dict([*outcomes.SYMBOLS.items(), ("partial", outcomes.PARTIAL)]),
        meanings=outcomes.MEANINGS,
        exit_meanings=outcomes.EXIT_MEANINGS,
        plot_width=charts.PLOT_WIDTH,
        rows=ROWS,
        longest=LONGEST,
        chosen=_chosen,
    )
    return environment


def _chosen(report: Report, api: str, level: str | None = None) -> list[RequirementRecord]:
    return [r for r in report.requirements if r.api == api and level in (None, r.level)]


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _slug(words: str) -> str:
    return words.replace(" ", "-")


@cache
def _css() -> str:
    return resources.files("conformance.report").joinpath("templates/report.css").read_text(encoding="utf-8")

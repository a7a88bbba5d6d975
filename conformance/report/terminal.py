"""The closing lines of a run for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from conformance.judge.phrasing import listed
from conformance.report.causes import blocked_by, causes
from conformance.report.charts import slices
from conformance.report.document import OUTCOMES, Outcome, Report
from conformance.report.formatting import seconds
from conformance.report.outcomes import PARTIAL, SYMBOLS
from conformance.report.readings import unobserved_questions
from conformance.report.store import HTML
from conformance.text.sanitize import printable

MOST = 20
"""Maximum number of requirements named for an outcome; the report holds all."""


def closing_lines(report: Report, directory: Path | None = None) -> list[str]:
    """Headline, causes, requirements that need attention, findings, counts, times, and the report's path."""
    return [
        f"{_symbol(report)} {report.headline.word.upper()}: {report.headline.reason}"
        f" ({printable(report.mesh.title)} on Kubernetes {printable(report.cluster.kubernetes)})",
        *_causes(report),
        *_problems(report, "fail"),
        *_problems(report, "inconclusive"),
        *_problems(report, "not observed"),
        *_partly(report),
        *_findings(report),
        "requirements: " + ", ".join(f"{report.counts[o]} {o}" for o in OUTCOMES if report.counts.get(o)),
        "time: " + _times(report),
        *([f"report: {directory / HTML}"] if directory else []),
    ]


def _symbol(report: Report) -> str:
    word = report.headline.word
    return PARTIAL if word == "partial" else SYMBOLS[next(one for one in OUTCOMES if one == word)]


def _causes(report: Report) -> Iterator[str]:
    """The causes, each with the requirements that stand on it."""
    for cause in causes(report):
        yield f"  {SYMBOLS['fail']} {cause.sentence}"
        if cause.dependents:
            yield f"      {listed(cause.dependents)}"


def _problems(report: Report, outcome: Outcome) -> Iterator[str]:
    records = [one for one in report.requirements if one.outcome == outcome and not blocked_by(one)]
    first: dict[tuple[str, str], str] = {}
    for record in records[:MOST]:
        level = "" if record.level == "core" else f" ({record.level})"
        yield f"  {SYMBOLS[outcome]} {record.id}{level}"
        tests = [
            (test.summary, test.hint)
            for test in record.tests
            if record.verdict is None or test.verdict is record.verdict
        ]
        for summary, hint in dict.fromkeys(tests):
            # A summary shared by several requirements, such as an unready pod, is printed once.
            earliest = first.setdefault((summary, hint), record.id)
            yield f"      {printable(summary) if earliest == record.id else f'as for {earliest}'}"
            if hint and earliest == record.id:
                yield f"      look at: {printable(hint)}"
    if len(records) > MOST:
        yield f"  {SYMBOLS[outcome]} and {len(records) - MOST} more"


def _partly(report: Report) -> Iterator[str]:
    """Observed requirements with questions that could not be observed."""
    for record in report.requirements:
        if record.outcome == "observed" and (
            questions := unobserved_questions(record.readings, record.tests)
        ):
            yield f"  {SYMBOLS['observed']} {record.id}: questions not observed: {'; '.join(questions)}"


def _findings(report: Report) -> Iterator[str]:
    for finding in report.findings:
        if finding.severity != "info":
            remedy = f" ({printable(finding.remedy)})" if finding.remedy else ""
            yield f"  {finding.severity}: {printable(finding.text)}{remedy}"


def _times(report: Report) -> str:
    parts = ", ".join(f"{part.name} {seconds(part.seconds)}" for part in slices(report.timing))
    return seconds(report.timing.total_s) + (f" ({parts})" if parts else "")

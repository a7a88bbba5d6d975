"""report: verify or render a stored report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.model.exit_codes import ExitCode
from conformance.report import html, store
from conformance.report.document import Report
from conformance.report.verify import recompute
from conformance.text import files
from conformance.text.sanitize import printable


def arguments(report: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    report.description = "Works with stored reports; needs no cluster."
    actions = report.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser(
        "verify",
        help="recompute the verdicts of a report from its evidence",
        description="Recomputes the verdicts of a report from its evidence, and lists every verdict, "
        "headline or count that differs. Reports of another version of the suite may need that version.",
    )
    _report_argument(verify)
    verify.set_defaults(function=_verify)
    page = actions.add_parser(
        "html",
        help="render the page of a report",
        description="Renders report.html from report.json, without pytest's own table of tests.",
    )
    _report_argument(page)
    page.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="output file (default: standard output)"
    )
    page.set_defaults(function=_html)


def _report_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", metavar="REPORT", type=Path, help="report.json or its directory")


def _read(path: Path) -> Report | None:
    try:
        return store.read(path)
    except OSError as error:
        print(f"error: cannot read a report from {path}: {error.strerror}", file=sys.stderr)
    except store.ReportError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
    return None


def _verify(options: argparse.Namespace) -> int:
    report = _read(options.report)
    if report is None:
        return ExitCode.INCONCLUSIVE
    found = recompute(report)
    for difference in found:
        print(printable(str(difference)))
    judged = sum(1 for record in report.requirements for test in record.tests if test.basis is not None)
    name = f"report {report.run.id} of {report.mesh.profile}, suite {report.suite_version}"
    if found:
        print(f"✗ {name}: {len(found)} statements do not follow from the evidence")
        return ExitCode.BROKEN
    print(f"✓ {name}: all {judged} judgements follow from the evidence ({report.headline.reason})")
    return ExitCode.HOLDS


def _html(options: argparse.Namespace) -> int:
    report = _read(options.report)
    if report is None:
        return ExitCode.INCONCLUSIVE
    page = html.page(report)
    if options.output is None:
        print(page)
        return ExitCode.HOLDS
    try:
        files.replace(options.output, page)
    except OSError as error:
        print(f"error: cannot write the page to {options.output}: {error.strerror}", file=sys.stderr)
        return ExitCode.INCONCLUSIVE
    return ExitCode.HOLDS

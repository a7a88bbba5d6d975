"""Conversion between pytest's outcome of a test and its judgement."""

from __future__ import annotations

import pytest

from conformance import judge
from conformance.drive.api_trials import HeadersRefused
from conformance.drive.rendering import NotInVersion
from conformance.drive.tailoring import NotClaimed
from conformance.model.verdict import Concluded, Inconclusive, Judgement, Verdict
from conformance.report.conclusions import render
from conformance.text.sanitize import printable


def judgement_of(call: pytest.CallInfo[None], given: Judgement | None) -> Judgement | None:
    """The judgement after a finished phase of a test; None if a later phase decides.

    ``given`` is the judgement that the test passed to the ``verdict`` fixture. Any error that is not about
    the mesh makes the test inconclusive; a failure stays one, whatever the test does after it.
    """
    if call.excinfo is None:
        if call.when == "setup":
            return None
        missing = Judgement(Verdict.INCONCLUSIVE, "the test ended without a judgement: an error of the suite")
        return given or missing
    error = call.excinfo.value
    if isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
        return None
    if given is not None and given.verdict is Verdict.FAIL:
        return given
    if given is not None:
        # Whatever this error says of the mesh, it is too late.
        return _error_of_the_suite(error)
    if isinstance(error, Concluded):
        return error.judgement
    if isinstance(error, NotClaimed):
        return judge.not_claimed(str(error))
    if isinstance(error, NotInVersion):
        return judge.not_applicable(str(error))
    if isinstance(error, HeadersRefused):
        return judge.headers_refused(error.attempts)
    if isinstance(error, Inconclusive):
        return Judgement(Verdict.INCONCLUSIVE, str(error))
    if isinstance(error, pytest.skip.Exception):
        return Judgement(Verdict.NOT_CLAIMED, str(error))
    return _error_of_the_suite(error)


def _error_of_the_suite(error: BaseException) -> Judgement:
    """The one boundary: any other error is trouble of the suite or the environment, never the mesh's."""
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"{type(error).__name__}: {error}",
        hint="trouble of the environment or the suite, not of the mesh; see the diagnostics, run again",
    )


def show(report: pytest.TestReport, item: pytest.Item, judgement: Judgement) -> None:
    """Set the outcome and the text of pytest's report to those of the judgement."""
    text = render(judgement)
    match judgement.verdict:
        case Verdict.PASS:
            report.outcome, report.longrepr = "passed", None
        case Verdict.FAIL:
            report.outcome, report.longrepr = "failed", text
        case Verdict.INCONCLUSIVE:
            report.outcome, report.longrepr = "failed", printable(judgement.summary)
        case Verdict.NOT_CLAIMED:
            path, line, _ = item.location
            report.outcome, report.longrepr = "skipped", (path, line or 0, printable(judgement.summary))

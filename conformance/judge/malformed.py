"""Verdicts on hostile or malformed API answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

from conformance.judge.metrics_parser import MalformedAnswer
from conformance.judge.phrasing import sentences
from conformance.model.verdict import Judgement, Verdict

P = ParamSpec("P")


def fail_on_malformed(function: Callable[P, Judgement]) -> Callable[P, Judgement]:
    """Turn an unreadable body into a failure, with the sentence that says why."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Judgement:
        try:
            return function(*args, **kwargs)
        except MalformedAnswer as error:
            return Judgement(
                Verdict.FAIL,
                str(error),
                expected="an answer in the form that the specification defines",
                hint="compare the stored body with apis/traffic-metrics of the specification",
            )

    return guarded


def judge_findings(findings: Sequence[str], expected: str, passed: str, hint: str = "") -> Judgement:
    """Fail with the findings, or pass if there are none."""
    found = [finding for finding in findings if finding]
    if found:
        return Judgement(Verdict.FAIL, sentences(found), expected=expected, hint=hint)
    return Judgement(Verdict.PASS, passed, expected=expected)

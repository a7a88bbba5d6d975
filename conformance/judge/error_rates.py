"""Whether the metrics of each backend show which of them fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.judge import traffic_checks
from conformance.judge.malformed import fail_on_malformed, judge_findings
from conformance.judge.metrics import shown_total
from conformance.judge.metrics_parser import TrafficMetrics, parse_metrics
from conformance.judge.phrasing import number, percent, sentences
from conformance.judge.registry import judge
from conformance.model.evidence import ApiRead, Traffic
from conformance.model.verdict import Judgement, Verdict

LEAST_SHOWN = 100
"""Requests that a backend must show for its error rate to be meaningful."""
TOLERANCE = 0.10
"""Accepted deviation of a rate, as a portion: ten points."""


@judge
@fail_on_malformed
def error_rates(
    baseline: Mapping[str, ApiRead],
    reads: Mapping[str, ApiRead],
    rates: Mapping[str, float],
    traffic: Sequence[Traffic],
) -> Judgement:
    """Each backend's counts show the error rate of that backend, and no failures of others.

    ``rates`` are the expected error rates by backend. ``traffic`` was sent at constant rates side by side, so
    the rates are the same in any window; its answers show whether the backends had traffic and failed as
    configured. A claim of effect: ``baseline`` must show no requests. The rate of n requests may deviate by
    the larger of ``TOLERANCE`` and 2/sqrt(n), four standard deviations of the widest binomial.
    """
    expected = "; ".join(
        f"{backend} fails in {percent(rate)} of its requests, within {number(100 * TOLERANCE)} points"
        for backend, rate in rates.items()
    )
    if unknown := _deviation(rates, traffic):
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the expected error rates are unknown: {unknown}",
            expected=expected,
            hint="if the split does not hold, the metrics cannot be judged",
        )
    shown = {backend: parse_metrics(reads[backend]) for backend in rates}
    judged = judge_findings(
        [_wrong_rate(backend, shown[backend], rate) for backend, rate in rates.items()],
        expected,
        sentences(tuple(_describe(backend, figures) for backend, figures in shown.items())),
        "the failures of one backend are attributed to another, or lost",
    )
    if not judged.passed:
        return judged
    earlier = [backend for backend in rates if shown_total(baseline.get(backend))]
    if earlier:
        reason = f"{' and '.join(earlier)} showed requests before any were sent"
        return Judgement(Verdict.INCONCLUSIVE, reason, expected=expected)
    return judged


def _deviation(rates: Mapping[str, float], traffic: Sequence[Traffic]) -> str:
    """How the traffic deviated from the configured rates; empty if it did not."""

    answered = {backend: sum(one.answered.get(backend, 0) for one in traffic) for backend in rates}
    if idle := [backend for backend, count in answered.items() if count < LEAST_SHOWN]:
        return f"{' and '.join(idle)} answered less than {LEAST_SHOWN} requests"
    lost = [
        traffic_checks.failed(one)
        or traffic_checks.disagreement(one)
        or traffic_checks.unexpected_responders(one, rates)
        for one in traffic
    ]
    if any(lost):
        return sentences(lost)
    failed = sum(count for one in traffic for status, count in one.statuses.items() if status != "200")
    due = sum(rate * answered[backend] for backend, rate in rates.items())
    if abs(failed - due) > TOLERANCE * sum(answered.values()):
        return f"{number(failed)} requests failed where {number(due)} should have"
    return ""


def _wrong_rate(backend: str, figures: TrafficMetrics, rate: float) -> str:
    if figures.total < LEAST_SHOWN:
        return f"{backend} shows {number(figures.total)} requests"
    found = figures.failures / figures.total
    if abs(found - rate) <= max(TOLERANCE, 2 / figures.total**0.5):
        return ""
    return f"{backend} is shown to fail in {percent(found)} of its requests, not {percent(rate)}"


def _describe(backend: str, figures: TrafficMetrics) -> str:
    return f"{backend} fails in {number(figures.failures)} of {number(figures.total)} requests"

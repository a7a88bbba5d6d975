"""Whether the metrics of each backend tell which of them fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.judge import traffic_checks
from conformance.judge.malformed import fail_on_malformed, verdict_of
from conformance.judge.metrics import shown_total
from conformance.judge.metrics_parser import WindowedCounts, one
from conformance.judge.phrasing import number, percent, sentences
from conformance.judge.registry import judge
from conformance.model.evidence import ApiRead, Traffic
from conformance.model.verdict import Judgement, Verdict

LEAST_SHOWN = 100
"""Requests that a backend must show for its rate to mean something."""
TOLERANCE = 0.10
"""How far a rate may be off, in points."""


@judge
@fail_on_malformed
def error_rates(
    baseline: Mapping[str, ApiRead],
    reads: Mapping[str, ApiRead],
    rates: Mapping[str, float],
    traffic: Sequence[Traffic],
) -> Judgement:
    """By their counts each backend fails in the part of its requests that is due, and nobody else's show.

    ``rates`` are these parts, by backend. ``traffic`` was sent at constant rates side by side, so that the
    parts are the same in any window; who answered it says whether the backends had traffic, and failed as
    told. A claim of effect: ``baseline`` must not show any. Where n requests are shown their rate is off by
    less than 2/sqrt(n), four standard deviations of the most that chance can do to it, or ``TOLERANCE``.
    """
    expected = "; ".join(
        f"{backend} fails in {percent(rate)} of its requests, within {number(100 * TOLERANCE)} points"
        for backend, rate in rates.items()
    )
    if unknown := _unknown(rates, traffic):
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"what is to be shown is not known: {unknown}",
            expected=expected,
            hint="where a split does not hold, the metrics have no part in it",
        )
    shown = {backend: one(reads[backend]) for backend in rates}
    judged = verdict_of(
        [_off(backend, shown[backend], rate) for backend, rate in rates.items()],
        expected,
        sentences(tuple(_told(backend, figures) for backend, figures in shown.items())),
        "the failures of one backend are told of another, or are lost",
    )
    if not judged.passed:
        return judged
    earlier = [backend for backend in rates if shown_total(baseline.get(backend))]
    if earlier:
        reason = f"{' and '.join(earlier)} showed requests before any were sent"
        return Judgement(Verdict.INCONCLUSIVE, reason, expected=expected)
    return judged


def _unknown(rates: Mapping[str, float], traffic: Sequence[Traffic]) -> str:
    """What became of the traffic otherwise than the rates have it; empty where nothing did."""
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


def _off(backend: str, figures: WindowedCounts, rate: float) -> str:
    if figures.total < LEAST_SHOWN:
        return f"{backend} shows {number(figures.total)} requests"
    found = figures.failures / figures.total
    if abs(found - rate) <= max(TOLERANCE, 2 / figures.total**0.5):
        return ""
    return f"{backend} is shown to fail in {percent(found)} of its requests, not {percent(rate)}"


def _told(backend: str, figures: WindowedCounts) -> str:
    return f"{backend} fails in {number(figures.failures)} of {number(figures.total)} requests"

"""Whether the figures of the metrics API match the traffic that was driven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.judge import traffic_checks
from conformance.judge.malformed import fail_on_malformed, judge_findings
from conformance.judge.metrics_parser import (
    FAILURES,
    PERCENTILES,
    SUCCESSES,
    MalformedAnswer,
    TrafficMetrics,
    parse_any,
    parse_metrics,
)
from conformance.judge.phrasing import format_counts, number, percent, pluralize, sentences
from conformance.judge.registry import judge
from conformance.model.evidence import ApiRead, Traffic
from conformance.model.verdict import Judgement, Verdict

TOLERANCE = 0.10
"""Accepted deviation of a count from the requests sent, as a portion of them.

A window's edges are as sharp as the collector's interval: a collector that adds up intervals of 1 s over 10 s
is off by an interval at most, one that extrapolates (``increase()`` over 30 s with a scrape each 3 s) by a
scrape, both 10 % under constant load. A load that lies wholly inside the window has no edges; only an
extrapolating collector stretches it, by half with a scrape each 10 s. Rates in place of counts are off by the
window's length in seconds, lifetime totals by the load's length in windows: three windows of load put them
at 300 %; requests counted at both ends, or on their way in and out, are off by a factor of two. The ratio of
the counts needs no check of its own: with both within 10 % it is off by 5 points at most.
"""

SLACK = 2
"""Requests by which a count may always be off: 10 % of a small number is below one request for each edge."""

LEAST_COUNT = 10
"""Requests that must be due in the window for a count to be meaningful: five times SLACK."""


@judge
@fail_on_malformed
def request_counts(
    baseline: ApiRead,
    read: ApiRead,
    later: ApiRead | None,
    succeeded: Traffic,
    failed: Traffic,
    seconds: float,
    again: Sequence[ApiRead] = (),
) -> Judgement:
    """Counts are the requests of the window, in the ratio sent.

    All requests of ``succeeded`` must have been answered with 200, those of ``failed`` with 500, else the due
    counts are unknown. They were sent at a constant rate over ``seconds``, which the window of ``read``
    covers or lies within; of a shorter window only its portion is due. ``again`` are later reads whose
    windows hold the load as well: each must show the same. A claim of effect: ``baseline`` must not show the
    requests. ``later``, read when window and collector have had time to forget, must show almost none.
    """
    if succeeded.sent + failed.sent <= 0 or seconds <= 0:
        return Judgement(Verdict.INCONCLUSIVE, "no traffic was driven for the metrics to count")
    figures = parse_metrics(read)
    part = min(1.0, figures.window_s / seconds)
    due = {SUCCESSES: succeeded.sent * part, FAILURES: failed.sent * part}
    expected = (
        f"success_count {number(due[SUCCESSES])} and failure_count {number(due[FAILURES])} in a window of "
        f"{number(figures.window_s)} s, each within {percent(TOLERANCE)} or {SLACK} requests"
    )
    if lost := sentences((_wrong_outcomes(succeeded, "200"), _wrong_outcomes(failed, "500"))):
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the due counts are unknown: {lost}",
            expected=expected,
            hint="if requests are lost on their way to the server, the metrics cannot be judged",
        )
    fallen = _still_shown(later, figures, sum(due.values()))
    judged = judge_findings(
        [*_wrong_counts(figures, due), _wrong_counts_later(again, due), fallen],
        expected,
        f"success_count {number(figures.successes)} of {number(due[SUCCESSES])}, failure_count "
        f"{number(figures.failures)} of {number(due[FAILURES])} in a window of {number(figures.window_s)} s",
        _count_hint(figures, due, seconds),
    )
    if not judged.passed:
        return judged
    reason = _indecisive_because(due, later, figures, seconds) or _shown_before(baseline, due)
    return Judgement(Verdict.INCONCLUSIVE, reason, expected=expected) if reason else judged


def _wrong_outcomes(traffic: Traffic, status: str) -> str:
    """How requests missed the expected status; empty when all were answered with it."""
    other = {code: count for code, count in traffic.statuses.items() if count and code != status}
    wrong = f"{traffic.call}: answered with {format_counts(other)}, not {status}" if other else ""
    return traffic_checks.failed(traffic) or traffic_checks.disagreement(traffic) or wrong


def _within_tolerance(value: float, due: float) -> bool:
    return abs(value - due) <= max(TOLERANCE * due, SLACK)


def _wrong_counts(figures: TrafficMetrics, due: Mapping[str, float]) -> list[str]:
    shown = {SUCCESSES: figures.successes, FAILURES: figures.failures}
    return [
        f"{name} is {number(shown[name])} where {number(due[name])} were sent in the window"
        for name in due
        if not _within_tolerance(shown[name], due[name])
    ]


def _wrong_counts_later(again: Sequence[ApiRead], due: Mapping[str, float]) -> str:
    wrong = [found for found in (_wrong_counts(parse_metrics(read), due) for read in again) if found]
    if not wrong:
        return ""
    return f"{len(wrong)} of {pluralize(len(again), 'read')} afterwards are off: {', '.join(wrong[0])}"


def _still_shown(later: ApiRead | None, figures: TrafficMetrics, due: float) -> str:
    total = shown_total(later)
    if later is None or total <= max(TOLERANCE * due, SLACK):
        return ""
    return (
        f"after the traffic stopped and the window passed, {number(total)} requests are still shown "
        f"({number(figures.total)} before)"
    )


def shown_total(read: ApiRead | None) -> float:
    """All requests that an answer shows; 0 for any answer of an idle object. Raises MalformedAnswer.

    The specification leaves open how an idle object looks: zeros, an empty list, 404 and a server error are
    equivalent here.
    """
    return sum(figures.total for figures in _shown(read))


def shown_so_far(read: ApiRead) -> float:
    """`shown_total` for polling; 0 for an unreadable answer, so that polling continues."""
    try:
        return shown_total(read)
    except MalformedAnswer:
        return 0.0


def shown_window_s(read: ApiRead) -> float:
    """The window of an answer in seconds; 30 s, as the specification shows, for an unreadable answer."""
    try:
        return parse_metrics(read).window_s
    except MalformedAnswer:
        return 30.0


def _shown(read: ApiRead | None) -> tuple[TrafficMetrics, ...]:
    return parse_any(read) if read is not None and read.status == 200 else ()


def _indecisive_because(
    due: Mapping[str, float], later: ApiRead | None, figures: TrafficMetrics, seconds: float
) -> str:
    """Why correct counts would prove nothing; empty when they prove something."""
    few = [name for name, count in due.items() if 0 < count < LEAST_COUNT]
    if few or sum(due.values()) < LEAST_COUNT:
        requests = ", ".join(f"{name} {number(count)}" for name, count in due.items())
        return f"too few requests for a window of {number(figures.window_s)} s to be judged by ({requests})"
    if later is None and seconds < 1.5 * figures.window_s:
        return (
            f"indistinguishable from totals: the load of {number(seconds)} s does not outlast the window of "
            f"{number(figures.window_s)} s, and nothing was read after it"
        )
    return ""


def _shown_before(baseline: ApiRead, due: Mapping[str, float]) -> str:
    total, wanted = shown_total(baseline), sum(due.values())
    if total < wanted - max(TOLERANCE * wanted, SLACK):
        return ""
    return f"indistinguishable from earlier traffic: {number(total)} requests were shown before any was sent"


def _count_hint(figures: TrafficMetrics, due: Mapping[str, float], seconds: float) -> str:
    wanted = sum(due.values())
    if figures.window_s > 1.5 and _within_tolerance(figures.total * figures.window_s, wanted):
        return "the figures look like rates per second"
    if seconds > 1.5 * figures.window_s and _within_tolerance(
        figures.total, wanted * seconds / figures.window_s
    ):
        return "the figures look like totals since the load began"
    if _within_tolerance(figures.total, 2 * wanted):
        return "the requests seem to be counted twice: at both ends, or on their way in and out"
    if due[FAILURES] > SLACK and _within_tolerance(figures.successes, wanted) and figures.failures <= SLACK:
        return "failed requests seem to be counted as successes"
    return "compare the timestamp and window of the stored answer with the time of the load"


@judge
@fail_on_malformed
def percentiles(
    read: ApiRead, expected_ms: Mapping[str, tuple[float, float]], baseline: ApiRead | None
) -> Judgement:
    """Latency percentiles, value times unit, match the servers' delays and do not cross.

    ``expected_ms`` maps p50, p90 and p99 to the lowest and highest accepted milliseconds. A claim of effect:
    an answer ``baseline``, if given, must not show them already. Raises KeyError for other names.
    """
    bounds = ", ".join(
        f"{name} {number(low)} to {number(high)} ms" for name, (low, high) in expected_ms.items()
    )
    expected = f"{bounds}; p50 <= p90 <= p99"
    figures = parse_metrics(read)
    if not figures.total:
        return Judgement(
            Verdict.FAIL, "no request is counted, so there are no percentiles", expected=expected
        )
    findings = [*_outside_bounds(figures, expected_ms), _crossing(figures)]
    shown = ", ".join(f"{name} {number(_latency_ms(figures, name))} ms" for name in PERCENTILES)
    judged = judge_findings(findings, expected, shown, _latency_hint(figures, expected_ms))
    if judged.passed:
        held = any(
            earlier.total and not _outside_bounds(earlier, expected_ms) and not _crossing(earlier)
            for earlier in _shown(baseline)
        )
        if held:
            return Judgement(
                Verdict.INCONCLUSIVE,
                f"indistinguishable from earlier traffic: these percentiles were shown before ({shown})",
                expected=expected,
            )
    return judged


def _latency_ms(figures: TrafficMetrics, name: str) -> float:
    return float(figures.values[PERCENTILES[name]])


def _outside_bounds(figures: TrafficMetrics, expected_ms: Mapping[str, tuple[float, float]]) -> list[str]:
    return [
        f"{name} is {number(value)} ms where {number(low)} to {number(high)} ms are expected"
        for name, (low, high) in expected_ms.items()
        if not low <= (value := _latency_ms(figures, name)) <= high
    ]


def _crossing(figures: TrafficMetrics) -> str:
    ascending = [_latency_ms(figures, name) for name in PERCENTILES]
    if ascending == sorted(ascending):
        return ""
    return f"percentiles cross: p50, p90, p99 are {', '.join(number(value) for value in ascending)} ms"


def _latency_hint(figures: TrafficMetrics, expected_ms: Mapping[str, tuple[float, float]]) -> str:
    for factor in (1000, 1 / 1000):
        if all(
            low <= _latency_ms(figures, name) * factor <= high for name, (low, high) in expected_ms.items()
        ):
            return "off by a factor of 1,000: the unit stated is not the unit measured in"
    return "averages, swapped names and empty histograms look like this"

"""Whether the figures of the metrics API are those of the traffic that was driven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.judge import traffic_checks
from conformance.judge.malformed import fail_on_malformed, verdict_of
from conformance.judge.metrics_parser import (
    FAILURES,
    PERCENTILES,
    SUCCESSES,
    Malformed,
    WindowedCounts,
    either,
    one,
)
from conformance.judge.phrasing import format_counts, number, percent, pluralize, sentences
from conformance.judge.registry import judge
from conformance.model.evidence import ApiRead, Traffic
from conformance.model.verdict import Judgement, Verdict

TOLERANCE = 0.10
"""How far a count may be from what was sent, as a part of it.

A window's edges are as sharp as the collector's beat: one that adds up beats of 1 s over 10 s is off by a
beat at most, and one that extrapolates (``increase()`` over 30 s with a scrape each 3 s) by a scrape, both
10 % under constant load. A load that lies in the window as a whole has no edges; only those that extrapolate
stretch it, by half with a scrape each 10 s. Rates in place of counts are off by the window's length in
seconds, lifetime totals by the load's length in windows: three windows of load put them at 300 %; requests
that are counted at both their ends, or on their way in and out, are off by a factor of two. The ratio of the
counts needs no check of its own: with both within 10 % it is off by 5 points at most.
"""

SLACK = 2
"""Requests by which a count may always be off: 10 % of a small number is less than one request each edge."""

LEAST_COUNT = 10
"""Requests that must be due in the window for a count to mean something: five times SLACK."""


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
    """Counts are the requests of the window, and their ratio is the one sent.

    The requests of ``succeeded`` were all to be answered with 200, those of ``failed`` with 500; where they
    were not, nobody knows what is due. They were sent at a constant rate over ``seconds``, which the window
    of ``read`` covers, or lies within: of a shorter window only its part is due. ``again`` are reads after
    it whose windows hold the load as well: each must show the same. A claim of effect:
    ``baseline`` must not show them. ``later``, read when window and collector have had time to forget, must
    have fallen to nothing.
    """
    if succeeded.sent + failed.sent <= 0 or seconds <= 0:
        return Judgement(Verdict.INCONCLUSIVE, "no traffic was driven for the metrics to count")
    figures = one(read)
    part = min(1.0, figures.window_s / seconds)
    due = {SUCCESSES: succeeded.sent * part, FAILURES: failed.sent * part}
    expected = (
        f"success_count {number(due[SUCCESSES])} and failure_count {number(due[FAILURES])} in a window of "
        f"{number(figures.window_s)} s, each within {percent(TOLERANCE)} or {SLACK} requests"
    )
    if lost := sentences((_otherwise(succeeded, "200"), _otherwise(failed, "500"))):
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"what is to be counted is not known: {lost}",
            expected=expected,
            hint="where the way to the server loses requests, the metrics have no part in it",
        )
    fallen = _not_fallen(later, figures, sum(due.values()))
    judged = verdict_of(
        [*_off(figures, due), _off_again(again, due), fallen],
        expected,
        f"success_count {number(figures.successes)} of {number(due[SUCCESSES])}, failure_count "
        f"{number(figures.failures)} of {number(due[FAILURES])} in a window of {number(figures.window_s)} s",
        _count_hint(figures, due, seconds),
    )
    if not judged.passed:
        return judged
    reason = _vague(due, later, figures, seconds) or _indistinct(baseline, due)
    return Judgement(Verdict.INCONCLUSIVE, reason, expected=expected) if reason else judged


def _otherwise(traffic: Traffic, status: str) -> str:
    """How requests fared that were not all answered with a status; empty where they were."""
    other = {code: count for code, count in traffic.statuses.items() if count and code != status}
    wrong = f"{traffic.call}: answered with {format_counts(other)}, not {status}" if other else ""
    return traffic_checks.failed(traffic) or traffic_checks.disagreement(traffic) or wrong


def _near(value: float, due: float) -> bool:
    return abs(value - due) <= max(TOLERANCE * due, SLACK)


def _off(figures: WindowedCounts, due: Mapping[str, float]) -> list[str]:
    shown = {SUCCESSES: figures.successes, FAILURES: figures.failures}
    return [
        f"{name} is {number(shown[name])} where {number(due[name])} were sent in the window"
        for name in due
        if not _near(shown[name], due[name])
    ]


def _off_again(again: Sequence[ApiRead], due: Mapping[str, float]) -> str:
    wrong = [found for found in (_off(one(read), due) for read in again) if found]
    if not wrong:
        return ""
    return f"{len(wrong)} of {pluralize(len(again), 'read')} afterwards are off: {', '.join(wrong[0])}"


def _not_fallen(later: ApiRead | None, figures: WindowedCounts, due: float) -> str:
    total = shown_total(later)
    if later is None or total <= max(TOLERANCE * due, SLACK):
        return ""
    return (
        f"after the traffic stopped and the window passed, {number(total)} requests are still shown "
        f"({number(figures.total)} before)"
    )


def shown_total(read: ApiRead | None) -> float:
    """All requests that an answer shows; none where nothing is there. Raises Malformed.

    What an idle object looks like is left open by the specification: zeros, an empty list, 404 and an
    error of the server are the same here.
    """
    return sum(figures.total for figures in _shown(read))


def shown_so_far(read: ApiRead) -> float:
    """The same for those who wait; none where the answer cannot be read, so that waiting goes on."""
    try:
        return shown_total(read)
    except Malformed:
        return 0.0


def shown_window_s(read: ApiRead) -> float:
    """The window of an answer, for how long to wait; if it has none 30 s, as the specification shows."""
    try:
        return one(read).window_s
    except Malformed:
        return 30.0


def _shown(read: ApiRead | None) -> tuple[WindowedCounts, ...]:
    return either(read) if read is not None and read.status == 200 else ()


def _vague(due: Mapping[str, float], later: ApiRead | None, figures: WindowedCounts, seconds: float) -> str:
    """Why right counts would prove nothing; empty when they do."""
    few = [name for name, count in due.items() if 0 < count < LEAST_COUNT]
    if few or sum(due.values()) < LEAST_COUNT:
        requests = ", ".join(f"{name} {number(count)}" for name, count in due.items())
        return f"too few requests for a window of {number(figures.window_s)} s to be judged by ({requests})"
    if later is None and seconds < 1.5 * figures.window_s:
        return (
            f"cannot be told from totals: the load of {number(seconds)} s does not outlast the window of "
            f"{number(figures.window_s)} s, and nothing was read after it"
        )
    return ""


def _indistinct(baseline: ApiRead, due: Mapping[str, float]) -> str:
    total, wanted = shown_total(baseline), sum(due.values())
    if total < wanted - max(TOLERANCE * wanted, SLACK):
        return ""
    return f"cannot be told from earlier traffic: {number(total)} requests were shown before any was sent"


def _count_hint(figures: WindowedCounts, due: Mapping[str, float], seconds: float) -> str:
    wanted = sum(due.values())
    if figures.window_s > 1.5 and _near(figures.total * figures.window_s, wanted):
        return "the figures look like rates per second"
    if seconds > 1.5 * figures.window_s and _near(figures.total, wanted * seconds / figures.window_s):
        return "the figures look like totals since the load began"
    if _near(figures.total, 2 * wanted):
        return "the requests look to be counted twice: at both their ends, or on their way in and out"
    if due[FAILURES] > SLACK and _near(figures.successes, wanted) and figures.failures <= SLACK:
        return "failed requests look to be counted as successes"
    return "compare the timestamp and window of the stored answer with the time of the load"


@judge
@fail_on_malformed
def percentiles(
    read: ApiRead, expected_ms: Mapping[str, tuple[float, float]], baseline: ApiRead | None
) -> Judgement:
    """Latency percentiles lie where the servers' delays put them, by value times unit, and do not cross.

    ``expected_ms`` maps p50, p90 and p99 to the lowest and highest milliseconds accepted. A claim of effect:
    an answer ``baseline``, if there is one, must not show them already. Raises KeyError for other names.
    """
    asked = ", ".join(
        f"{name} {number(low)} to {number(high)} ms" for name, (low, high) in expected_ms.items()
    )
    expected = f"{asked}; p50 <= p90 <= p99"
    figures = one(read)
    if not figures.total:
        return Judgement(
            Verdict.FAIL, "no request is counted, so there are no percentiles", expected=expected
        )
    findings = [*_misplaced(figures, expected_ms), _crossed(figures)]
    told = ", ".join(f"{name} {number(_ms(figures, name))} ms" for name in PERCENTILES)
    judged = verdict_of(findings, expected, told, _latency_hint(figures, expected_ms))
    if judged.passed:
        held = any(
            shown.total and not _misplaced(shown, expected_ms) and not _crossed(shown)
            for shown in _shown(baseline)
        )
        if held:
            return Judgement(
                Verdict.INCONCLUSIVE,
                f"cannot be told from earlier traffic: these percentiles were shown before ({told})",
                expected=expected,
            )
    return judged


def _ms(figures: WindowedCounts, name: str) -> float:
    return float(figures.values[PERCENTILES[name]])


def _misplaced(figures: WindowedCounts, expected_ms: Mapping[str, tuple[float, float]]) -> list[str]:
    return [
        f"{name} is {number(_ms(figures, name))} ms where {number(low)} to {number(high)} ms are expected"
        for name, (low, high) in expected_ms.items()
        if not low <= _ms(figures, name) <= high
    ]


def _crossed(figures: WindowedCounts) -> str:
    ascending = [_ms(figures, name) for name in PERCENTILES]
    if ascending == sorted(ascending):
        return ""
    return f"percentiles cross: p50, p90, p99 are {', '.join(number(value) for value in ascending)} ms"


def _latency_hint(figures: WindowedCounts, expected_ms: Mapping[str, tuple[float, float]]) -> str:
    for factor in (1000, 1 / 1000):
        if all(low <= _ms(figures, name) * factor <= high for name, (low, high) in expected_ms.items()):
            return "off by a factor of 1,000: the unit stated is not the unit measured in"
    return "averages, swapped names and empty histograms look like this"

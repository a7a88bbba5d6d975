"""Whether requests reach the target port of the chosen backend."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.judge import traffic_checks
from conformance.judge.phrasing import format_counts, listed, pluralize
from conformance.judge.registry import judge
from conformance.judge.statistics import MIN_REQUESTS
from conformance.model.evidence import Effect
from conformance.model.verdict import Judgement, Verdict

_TARGET = "the targetPort of the chosen backend decides, not that of the root or another backend"


@judge
def reaches_target_ports(effect: Effect, ports: Mapping[str, int]) -> Judgement:
    """Each server of ``ports`` is reached, only at its own port; nothing else answers, nothing fails.

    A claim of effect: before the change at least one of these servers and ports was not reached.
    """
    baseline, sample, convergence = effect.baseline, effect.sample, effect.convergence
    wanted = [f"{server}:{port}" for server, port in ports.items()]
    expected = f"every request is answered by one of {listed(wanted)}, each of which is reached"
    elsewhere = {place: count for place, count in sample.ports.items() if place not in wanted and count}
    missing = [place for place in wanted if not sample.ports.get(place)]
    astray = (
        f"answered at other places: {format_counts(elsewhere)}" if elsewhere else "",
        traffic_checks.unexpected_responders(sample, set(ports)),
    )
    return (
        traffic_checks.excused(baseline, sample, *astray)
        or traffic_checks.fail_with(
            traffic_checks.not_converged(convergence),
            *astray,
            f"never answered: {listed(missing)}" if missing else "",
            traffic_checks.failed(sample),
            expected=expected,
            hint=traffic_checks.hint(baseline, sample, convergence, _TARGET),
        )
        or traffic_checks.contradictory(sample)
        or traffic_checks.invalid_baseline(baseline, sample)
        or traffic_checks.too_few(sample, MIN_REQUESTS, "a leak of 5 points")
        or (
            traffic_checks.no_difference("all of these places were reached", baseline.ports)
            if all(baseline.ports.get(place) for place in wanted)
            else None
        )
        or Judgement(
            Verdict.PASS,
            f"{pluralize(sample.sent, 'request')} landed on {format_counts(sample.ports)}",
            expected=expected,
        )
    )

"""Whether a change of weights passes without a moment in which neither the old nor the new ones hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from conformance.judge import traffic_checks
from conformance.judge.phrasing import format_counts, number, pluralize
from conformance.judge.registry import judge
from conformance.judge.statistics import MIN_REQUESTS, regions, rotation
from conformance.model.evidence import Convergence, Traffic
from conformance.model.verdict import Judgement, Verdict


@judge
def within_either_step(
    effect: Judgement,
    during: Traffic | Sequence[Traffic],
    earlier: Mapping[str, int],
    later: Mapping[str, int],
    convergence: Convergence,
) -> Judgement:
    """Steady traffic over a change from ``earlier`` to ``later`` weights reaches only their backends.

    No request fails.

    The switch-over time is unknown, so any count of a backend between its two expected shares is accepted;
    ``effect`` judges the sample under the later weights. Each end of the accepted range is the end of
    ``statistics.regions`` for that weight alone, so a mesh that makes every draw by one of the two weights is
    outside with at most their α. Each window of the traffic is judged likewise, all windows together with the
    same error rate as the whole: a short swing shows in a window, however long the rest is. Simultaneous
    batches, on kept connections and on new ones, share one error rate. A rotation is inside as well, whatever
    the order of backends in a turn. A claim of preservation: inconclusive unless ``effect``, a judgement of
    the same change, is a pass, and if the traffic expired before it was stopped, that is, before the effect
    was measured.
    """
    expected = (
        "every request of the change goes to a backend of either step, within their shares, and none fails"
    )
    if not effect.passed:
        reason = f"indistinguishable from no mesh: no effect was in force ({effect.summary})"
        return Judgement(Verdict.INCONCLUSIVE, reason, expected=expected)
    batches = [during] if isinstance(during, Traffic) else list(during)
    if not batches:
        return Judgement(Verdict.INCONCLUSIVE, "no steady traffic was sent", expected=expected)
    excuses = [
        traffic_checks.excused(None, one, traffic_checks.unexpected_responders(one, _listed(earlier, later)))
        for one in batches
    ]
    judged = [one for one, excuse in zip(batches, excuses, strict=True) if not excuse]
    wrong = traffic_checks.fail_with(
        *(found for one in judged for found in _violations(one, earlier, later, len(batches))),
        expected=expected,
        hint=_failure_hint(judged),
    )
    invalid_baseline = (
        excuse or traffic_checks.expired(one) or traffic_checks.contradictory(one) or _too_few(one)
        for one, excuse in zip(batches, excuses, strict=True)
    )
    return (
        wrong
        or next(filter(None, invalid_baseline), None)
        or Judgement(Verdict.PASS, _describe(batches, convergence), expected=expected)
    )


def _violations(
    during: Traffic, earlier: Mapping[str, int], later: Mapping[str, int], batches: int
) -> Iterator[str]:
    yield traffic_checks.unexpected_responders(during, _listed(earlier, later))
    yield traffic_checks.failed(during)
    if not _drawn_by_connection(during):
        yield from _outside_shares(during, earlier, later, batches)


def _failure_hint(batches: Sequence[Traffic]) -> str:
    if any(traffic_checks.failed(one) for one in batches):
        return "see whether the old configuration is removed before the new one is in force"
    return "see which backend got more or less than either step allows, and when"


def _too_few(during: Traffic) -> Judgement | None:
    return traffic_checks.too_few(during, MIN_REQUESTS, "a leak of 5 points")


def _listed(earlier: Mapping[str, int], later: Mapping[str, int]) -> set[str]:
    """The backends with a positive weight in either step."""
    return {name for weights in (earlier, later) for name, weight in weights.items() if weight}


def _drawn_by_connection(during: Traffic) -> bool:
    # With one draw for each connection, the number of requests does not bound the error of the shares.
    return bool(
        not during.new_connections and during.connections and during.uniform_connections == during.connections
    )


def _outside_shares(
    during: Traffic, earlier: Mapping[str, int], later: Mapping[str, int], batches: int
) -> Iterator[str]:
    yield from _outside(during.answered, during.sent, earlier, later, 2 * batches)
    windows = [
        found
        for one in during.windows
        for found in _outside(one, sum(one.values()), earlier, later, 2 * batches * len(during.windows))
    ]
    if windows:
        others = f"; so do {pluralize(len(windows) - 1, 'other count')}" if windows[1:] else ""
        yield f"for a moment {windows[0]}{others}"


def _outside(
    answered: Mapping[str, int], sent: int, earlier: Mapping[str, int], later: Mapping[str, int], parts: int
) -> Iterator[str]:
    names = sorted({*earlier, *later})
    steps = [{name: weights.get(name, 0) for name in names} for weights in (earlier, later)]
    ends = [end for step in steps for end in (regions(sent, step, parts), rotation(sent, step))]
    for name in names:
        low, high = min(end[name].low for end in ends), max(end[name].high for end in ends)
        got = answered.get(name, 0)
        if not low <= got <= high:
            total = pluralize(sent, "request")
            yield f"{name} got {got:,} of {total} where {low:,} to {high:,} lie between the two steps"


def _describe(batches: Sequence[Traffic], convergence: Convergence) -> str:
    took = "" if convergence.took_s is None else f"arrived after {number(convergence.took_s)} s; "
    total = pluralize(sum(one.sent for one in batches), "request")
    answered = sum((Counter(one.answered) for one in batches), Counter[str]())
    return f"{took}none of {total} failed meanwhile ({format_counts(answered)})"

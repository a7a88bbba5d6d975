"""Whether traffic is divided over backends by weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from conformance.judge import traffic_checks
from conformance.judge.phrasing import format_counts, listed, percent, pluralize, sentences
from conformance.judge.registry import judge
from conformance.judge.statistics import (
    ALPHA,
    MIN_REQUESTS,
    Region,
    expected_shares,
    leak_bound,
    regions,
    sample_size,
)
from conformance.model.evidence import Effect, Traffic
from conformance.model.verdict import Judgement, Share, Verdict

_ASTRAY = "only listed backends may be reached through the root, whatever pods the root selects"


@judge
def weights_followed(
    effect: Effect,
    weights: Mapping[str, int],
    workloads_by_backend: Mapping[str, Sequence[str]] | None = None,
    ports: Mapping[str, int] | None = None,
    samples_sharing_alpha: int = 1,
) -> Judgement:
    """Requests are divided over the listed backends, and no others, in proportion to their weights.

    ``workloads_by_backend`` names the workloads of a backend that has several, ``ports`` the only port at
    which a backend's workloads may be reached, ``samples_sharing_alpha`` the number of samples that share the
    error rate of one. A claim of effect: the same division was not there before the change. Counts are
    accepted within ``statistics.regions``; a sample smaller than ``sample_size(weights)`` never passes. If
    the mesh draws once for each connection and the sample reused connections, the number of draws is not the
    number of requests, and the counts are inconclusive. Raises ValueError for weights without a positive sum.
    """
    merged = Effect(
        traffic_checks.merged(effect.baseline, workloads_by_backend or {}),
        traffic_checks.merged(effect.sample, workloads_by_backend or {}),
        effect.convergence,
    )
    return _judge_division(merged, weights, ports or {}, _compare_with_baseline, samples_sharing_alpha)


@judge
def root_served_by_backends(effect: Effect, weights: Mapping[str, int]) -> Judgement:
    """A root without endpoints of its own is served in proportion to the weights.

    A claim of effect: before the change requests were sent and none was answered. Otherwise as
    `weights_followed`.
    """
    return _judge_division(effect, weights, {}, _require_unreachable_before)


_Control = Callable[[Traffic, Traffic, Mapping[str, int]], Judgement | None]


def _judge_division(
    effect: Effect,
    weights: Mapping[str, int],
    ports: Mapping[str, int],
    control: _Control,
    parts: int = 1,
) -> Judgement:
    baseline, sample, convergence = effect.baseline, effect.sample, effect.convergence
    due = expected_shares(weights)
    accepted = regions(sample.sent, weights, parts)
    expected = _describe_expected(due, accepted)
    figures = _figures(sample, due, accepted)
    astray = traffic_checks.unexpected_responders(sample, weights), _wrong_ports(sample, ports)
    found = (
        # The root is unreachable before the change, so missing answers after it are the only sign of failure.
        traffic_checks.excused(None if control is _require_unreachable_before else baseline, sample, *astray)
        or traffic_checks.fail_with(
            traffic_checks.not_converged(convergence),
            *astray,
            traffic_checks.failed(sample),
            expected=expected,
            hint=traffic_checks.hint(baseline, sample, convergence, _ASTRAY),
        )
        or traffic_checks.contradictory(sample)
        or _too_few_draws(sample, due)
        or _outside(sample, due, accepted, expected)
        or control(baseline, sample, weights)
        or traffic_checks.too_few(
            sample, max(sample_size(weights, parts), MIN_REQUESTS), "an error of 5 points"
        )
        or Judgement(Verdict.PASS, _describe_shares(sample, due, accepted), expected=expected)
    )
    return Judgement(found.verdict, found.summary, found.expected or expected, found.hint, figures)


def _figures(sample: Traffic, due: Mapping[str, float], accepted: Mapping[str, Region]) -> tuple[Share, ...]:
    if not sample.sent:
        return ()
    n = sample.sent
    return tuple(
        Share(name, _answered(sample, name) / n, due[name], region.low / n, region.high / n)
        for name, region in accepted.items()
    )


def _answered(sample: Traffic, name: str) -> int:
    return sample.answered.get(name, 0)


def _describe_expected(due: Mapping[str, float], accepted: Mapping[str, Region]) -> str:
    parts = ", ".join(f"{name} {percent(due[name])} ({_bounds(region)})" for name, region in accepted.items())
    return f"{parts}; a mesh that draws at random by weight is outside with probability {ALPHA:g} at most"


def _bounds(region: Region) -> str:
    if region.low == region.high:
        return f"exactly {region.low:,}"
    return f"{region.low:,} to {region.high:,}"


def _outside(
    sample: Traffic, due: Mapping[str, float], accepted: Mapping[str, Region], expected: str
) -> Judgement | None:
    off = [
        f"{name} got {_answered(sample, name):,} of {pluralize(sample.sent, 'request')} "
        f"({percent(_answered(sample, name) / sample.sent)}) where {_bounds(region)} are accepted "
        f"for {percent(due[name])}"
        for name, region in accepted.items()
        if sample.sent and not region.accepts(_answered(sample, name))
    ]
    return traffic_checks.fail_with(
        *off,
        expected=expected,
        hint="compare the shares with the numbers of pods, with equal shares, and with the previous weights",
    )


def _too_few_draws(sample: Traffic, due: Mapping[str, float]) -> Judgement | None:
    """Inconclusive if each connection stayed with one backend and connections were reused.

    Requests on one connection are then a single draw, and the number of connections of each backend is
    unknown. If all connections reached the same backend, its share decides whether that may be chance.
    """
    if sample.new_connections or not sample.connections or sample.uniform_connections < sample.connections:
        return None
    servers = [name for name, count in sample.answered.items() if count]
    if len(servers) == 1 and due.get(servers[0], 0.0) ** sample.connections <= ALPHA:
        return None
    if len(servers) == 1 and due.get(servers[0], 0.0) >= 1:
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"each of {pluralize(sample.connections, 'connection')} stayed with one backend: "
        f"too few draws to judge shares by ({format_counts(sample.answered)})",
        hint="a mesh may divide connections instead of requests; send each request over its own",
    )


def _wrong_ports(sample: Traffic, ports: Mapping[str, int]) -> str:
    wanted = {f"{server}:{port}" for server, port in ports.items()}
    elsewhere = {
        place: count
        for place, count in sample.ports.items()
        if count and place.partition(":")[0] in ports and place not in wanted
    }
    return f"answered at other ports: {format_counts(elsewhere)}" if elsewhere else ""


def _compare_with_baseline(
    baseline: Traffic, sample: Traffic, weights: Mapping[str, int]
) -> Judgement | None:
    return traffic_checks.invalid_baseline(baseline, sample) or _already_in_force(baseline, weights)


def _require_unreachable_before(
    baseline: Traffic, sample: Traffic, weights: Mapping[str, int]
) -> Judgement | None:
    if not baseline.sent:
        return Judgement(Verdict.INCONCLUSIVE, "nothing was sent before the change: there is no null control")
    if baseline.answers or baseline.served:
        return traffic_checks.no_difference("the root was served", baseline.answered)
    if unresolved := traffic_checks.unresolved(baseline):
        return Judgement(Verdict.INCONCLUSIVE, f"there is no null control: before the change {unresolved}")
    return None


def _already_in_force(baseline: Traffic, weights: Mapping[str, int]) -> Judgement | None:
    if traffic_checks.unexpected_responders(baseline, weights):
        return None
    accepted = regions(baseline.answers, weights)
    if not all(region.accepts(_answered(baseline, name)) for name, region in accepted.items()):
        return None
    return traffic_checks.no_difference("these shares were there", baseline.answered)


def _describe_shares(sample: Traffic, due: Mapping[str, float], accepted: Mapping[str, Region]) -> str:
    got = listed(
        f"{name} {percent(_answered(sample, name) / sample.sent)} of {percent(due[name])}"
        for name in accepted
    )
    silent = [name for name, share in due.items() if not share]
    bound = percent(leak_bound(sample.sent))
    quiet = f"nothing for {listed(silent)} (a leak above {bound} is excluded)" if silent else ""
    return sentences((f"{pluralize(sample.sent, 'request')}: {got}", quiet))

"""Whether traffic is divided over backends by weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from conformance.judge import traffic_checks
from conformance.judge.phrasing import format_counts, listed, percent, pluralize, sentences
from conformance.judge.registry import judge
from conformance.judge.share_test import ShareTest
from conformance.judge.statistics import ALPHA, Region, expected_shares, leak_bound, regions
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
    accepted as in `ShareTest`: at the look that ended the sample, or within the regions of a whole sample; a
    smaller one never passes. If the mesh draws once for each connection and the sample reused connections,
    the number of draws is not the number of requests, and the counts are inconclusive. Raises ValueError for
    weights without a positive sum.
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
    counts = _Counts.of(sample, ShareTest(weights, samples_sharing_alpha=parts))
    expected = counts.expected()
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
        or _too_few_draws(sample, counts.due)
        or _outside(counts, expected)
        or control(baseline, sample, weights)
        or (None if counts.early else traffic_checks.too_few(sample, counts.most, "an error of 5 points"))
        or Judgement(Verdict.PASS, _describe_shares(counts), expected=expected)
    )
    return Judgement(found.verdict, found.summary, found.expected or expected, found.hint, counts.figures())


@dataclass(frozen=True)
class _Counts:
    """The counts by which a sample is judged: those of the look that ended it, else those of all of it.

    ``accepted`` are the regions at that point, ``due`` the claimed shares, ``most`` the whole sample's size.
    """

    sent: int
    answered: Mapping[str, int]
    due: Mapping[str, float]
    accepted: Mapping[str, Region]
    early: bool
    most: int

    @classmethod
    def of(cls, sample: Traffic, test: ShareTest) -> Self:
        """The counts of a sample whose workloads are merged by backend."""
        due = expected_shares(test.weights)
        ended = test.ended_at(sample.looks, sample.sent)
        if ended is not None:
            look = ended.look
            return cls(look.sent, look.answered, due, ended.regions, early=True, most=test.most)
        accepted = regions(sample.sent, test.weights, test.samples_sharing_alpha)
        return cls(sample.sent, sample.answered, due, accepted, early=False, most=test.most)

    def count(self, backend: str) -> int:
        """The requests that a backend answered."""
        return self.answered.get(backend, 0)

    def observed(self, backend: str) -> float:
        """Its observed share."""
        return self.count(backend) / self.sent

    def figures(self) -> tuple[Share, ...]:
        """The shares for the report; none if nothing was sent."""
        n = self.sent
        return tuple(
            Share(name, self.observed(name), self.due[name], region.low / n, region.high / n)
            for name, region in self.accepted.items()
            if n
        )

    def expected(self) -> str:
        """What is accepted."""
        parts = ", ".join(
            f"{name} {percent(self.due[name])} ({_bounds(region)})" for name, region in self.accepted.items()
        )
        after = f" after {pluralize(self.sent, 'request')}" if self.early else ""
        return (
            f"{parts}{after}; a mesh that draws at random by weight fails with probability {ALPHA:g} at most"
        )


def _bounds(region: Region) -> str:
    if region.low == region.high:
        return f"exactly {region.low:,}"
    return f"{region.low:,} to {region.high:,}"


def _outside(counts: _Counts, expected: str) -> Judgement | None:
    off = [
        f"{name} got {counts.count(name):,} of {pluralize(counts.sent, 'request')} "
        f"({percent(counts.observed(name))}) where {_bounds(region)} are accepted "
        f"for {percent(counts.due[name])}"
        for name, region in counts.accepted.items()
        if counts.sent and not region.accepts(counts.count(name))
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
    if not all(region.accepts(baseline.answered.get(name, 0)) for name, region in accepted.items()):
        return None
    return traffic_checks.no_difference("these shares were there", baseline.answered)


def _describe_shares(counts: _Counts) -> str:
    got = listed(
        f"{name} {percent(counts.observed(name))} of {percent(counts.due[name])}" for name in counts.due
    )
    silent = [name for name, share in counts.due.items() if not share]
    bound = percent(leak_bound(counts.sent))
    quiet = f"nothing for {listed(silent)} (a leak above {bound} is excluded)" if silent else ""
    ended = f"the sample ended after {counts.sent:,} of at most {counts.most:,}" if counts.early else ""
    return sentences((f"{pluralize(counts.sent, 'request')}: {got}", ended, quiet))

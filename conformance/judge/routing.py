"""Which workloads traffic reaches, apart from shares."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set

from conformance.judge import foreign_answers, traffic_checks
from conformance.judge.phrasing import format_counts, listed, percent, pluralize, sentences
from conformance.judge.registry import judge
from conformance.judge.statistics import MIN_REQUESTS, draws_to_see_all, leak_bound
from conformance.model.evidence import Effect, Traffic
from conformance.model.verdict import Judgement, Verdict

_LEAK = "a leak of 5 points"
_ASTRAY = "see which workload's ledger holds the others"


@judge
def nothing_reaches(effect: Effect, backend: str) -> Judgement:
    """A backend gets none of the traffic, and others answer all of it.

    A claim of effect: before the change the backend was reached.
    """
    baseline, sample, convergence = effect.baseline, effect.sample, effect.convergence
    expected = f"no request reaches {backend}, and every request is answered"
    leaked = traffic_checks.leaked_to(sample, backend)
    return (
        traffic_checks.excused(baseline, sample, leaked)
        or traffic_checks.fail_with(
            leaked,
            traffic_checks.not_converged(convergence),
            traffic_checks.failed(sample),
            expected=expected,
            hint=traffic_checks.hint(
                baseline, sample, convergence, f"the evidence shows how a request reached {backend}"
            ),
        )
        or traffic_checks.contradictory(sample)
        or traffic_checks.invalid_baseline(baseline, sample)
        or traffic_checks.too_few(sample, MIN_REQUESTS, _LEAK)
        or _never_reached(baseline, backend)
        or Judgement(
            Verdict.PASS,
            f"none of {pluralize(sample.sent, 'request')} reached {backend} "
            f"(a leak above {percent(leak_bound(sample.sent))} is excluded)",
            expected=expected,
        )
    )


def _never_reached(baseline: Traffic, backend: str) -> Judgement | None:
    if baseline.answered.get(backend, 0) > baseline.received.get(backend, 0):
        reason = f"{backend} answered before the change, but its ledger was not read or lost requests"
        return Judgement(Verdict.INCONCLUSIVE, reason)
    if traffic_checks.arrived(baseline, backend):
        return None
    return traffic_checks.no_difference(f"nothing reached {backend}", baseline.answered)


@judge
def everything_reaches(effect: Effect, server: str, port: int | None = None) -> Judgement:
    """One server, at ``port`` if given, answers every request, and no other is reached.

    A claim of effect: before the change others answered.
    """
    baseline, sample, convergence = effect.baseline, effect.sample, effect.convergence
    where = server if port is None else f"{server}:{port}"
    expected = f"every request is answered by {where}, and nothing else is reached"
    astray = traffic_checks.unexpected_responders(sample, {server}), _wrong_ports(sample, server, port)
    return (
        traffic_checks.excused(baseline, sample, *astray)
        or traffic_checks.fail_with(
            traffic_checks.not_converged(convergence),
            *astray,
            traffic_checks.failed(sample),
            expected=expected,
            hint=traffic_checks.hint(baseline, sample, convergence, _ASTRAY),
        )
        or traffic_checks.contradictory(sample)
        or traffic_checks.invalid_baseline(baseline, sample)
        or traffic_checks.too_few(sample, MIN_REQUESTS, _LEAK)
        or _already_in_force(baseline, server, port)
        or Judgement(
            Verdict.PASS,
            f"{where} answered all of {pluralize(sample.sent, 'request')} "
            f"(a leak above {percent(leak_bound(sample.sent))} is excluded)",
            expected=expected,
        )
    )


def _wrong_ports(sample: Traffic, server: str, port: int | None) -> str:
    if port is None:
        return ""
    right = sample.ports.get(f"{server}:{port}", 0)
    others = {name: count for name, count in sample.ports.items() if name != f"{server}:{port}"}
    missing = sample.answered.get(server, 0) - right
    if missing <= 0 and not any(others.values()):
        return ""
    return f"answered at another port than {port}: {format_counts(others)}"


def _already_in_force(baseline: Traffic, server: str, port: int | None) -> Judgement | None:
    if traffic_checks.unexpected_responders(baseline, {server}) or _wrong_ports(baseline, server, port):
        return None
    where = server if port is None else f"{server}:{port}"
    return traffic_checks.no_difference(f"everything reached {where}", baseline.answered)


@judge
def root_routing_restored(effect: Effect, servers: Sequence[str] | Set[str]) -> Judgement:
    """After a deletion each of ``servers`` is reached again, nothing else is, and nothing fails.

    A claim of effect: before the deletion they were not all reached. With enough draws a random mesh misses a
    server with a probability of at most ALPHA; with fewer, a missed server is inconclusive.
    """
    during, after, convergence = effect.baseline, effect.sample, effect.convergence
    expected = f"each of {listed(sorted(servers))} is reached again, nothing else, and no request fails"
    missing = sorted(name for name in servers if not traffic_checks.arrived(after, name))
    gone = (
        f"not reached again: {listed(missing)} (answers: {format_counts(after.answered)})" if missing else ""
    )
    few = _few_draws(after, len(servers)) if missing else None
    astray = traffic_checks.unexpected_responders(after, servers)
    outlived = "look for routes that outlived their object"
    return (
        traffic_checks.excused(during, after, astray)
        or traffic_checks.fail_with(
            traffic_checks.not_converged(convergence),
            "" if few else gone,
            astray,
            traffic_checks.failed(after),
            expected=expected,
            hint=traffic_checks.hint(during, after, convergence, outlived if gone else _ASTRAY),
        )
        or few
        or traffic_checks.contradictory(after)
        or traffic_checks.invalid_baseline(during, after)
        or _all_reached(during, servers)
        or Judgement(
            Verdict.PASS,
            f"all of {listed(sorted(servers))} are reached again ({format_counts(after.answered)})",
            expected=expected,
        )
    )


def _few_draws(after: Traffic, servers: int) -> Judgement | None:
    stuck = not after.new_connections and after.connections and after.uniform_connections == after.connections
    draws = after.connections if stuck else after.sent
    least = draws_to_see_all(servers)
    if draws >= least:
        return None
    unit = pluralize(draws, "connection" if stuck else "request")
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"{unit} may miss one of {pluralize(servers, 'server')} by chance: that takes {least:,}",
    )


def _all_reached(during: Traffic, servers: Collection[str]) -> Judgement | None:
    if not all(traffic_checks.arrived(during, name) for name in servers):
        return None
    return traffic_checks.no_difference("all of them were reached", during.answered)


@judge
def preserved(effect: Judgement, during: Traffic | Sequence[Traffic], server: str) -> Judgement:
    """Only ``server`` answers the traffic addressed to it, and none fails, while an effect is in force.

    A claim of preservation: it holds without a mesh as well, so even a violation is inconclusive unless
    ``effect``, a judgement of the same scenario, is a pass.
    """
    batches = [during] if isinstance(during, Traffic) else list(during)
    expected = f"{server} alone answers what is addressed to it, while the effect is in force"
    found = [_answered_alone(batch, server, expected) for batch in batches]
    worst = next((each for each in found if each and each.verdict is Verdict.FAIL), None)
    if not effect.passed:
        return Judgement(
            Verdict.INCONCLUSIVE,
            sentences(
                (
                    f"indistinguishable from no mesh: no effect was in force ({effect.summary})",
                    f"besides, {worst.summary}" if worst else "",
                )
            ),
            expected=expected,
        )
    if not batches:
        return Judgement(Verdict.INCONCLUSIVE, f"nothing was sent to {server}", expected=expected)
    sent = sum(batch.sent for batch in batches)
    return (
        worst
        or next((each for each in found if each), None)
        or Judgement(
            Verdict.PASS,
            f"{server} answered all of {pluralize(sent, 'request')} sent to it",
            expected=expected,
        )
    )


def _answered_alone(batch: Traffic, server: str, expected: str) -> Judgement | None:
    if not batch.sent:
        return Judgement(Verdict.INCONCLUSIVE, f"nothing was sent: {batch.call}", expected=expected)
    astray = traffic_checks.unexpected_responders(batch, {server})
    return (
        traffic_checks.excused(None, batch, astray)
        or traffic_checks.fail_with(
            *(f"{batch.call}: {what}" for what in (astray, traffic_checks.failed(batch)) if what),
            expected=expected,
            hint="only traffic addressed to the root service is divided"
            if astray
            else foreign_answers.where_to_look(batch),
        )
        or traffic_checks.expired(batch)
        or traffic_checks.contradictory(batch)
    )


@judge(aside="undisturbed traffic proves nothing unless an effect is judged beside it")
def no_request_failed(sample: Traffic) -> Judgement:
    """Steady traffic continues: some sample workload answers every request."""
    expected = "no request fails"
    if not sample.sent:
        return Judgement(Verdict.INCONCLUSIVE, f"nothing was sent: {sample.call}", expected=expected)
    return (
        traffic_checks.excused(None, sample)
        or traffic_checks.fail_with(
            traffic_checks.failed(sample),
            expected=expected,
            hint="see at which stage of the change requests failed",
        )
        or traffic_checks.expired(sample)
        # Steady traffic may come without ledgers: the answers alone show that nothing failed.
        or (traffic_checks.contradictory(sample) if sample.received else None)
        or Judgement(Verdict.PASS, f"none of {pluralize(sample.sent, 'request')} failed", expected=expected)
    )

"""Checks of one batch of traffic: its failures as sentences, and whether its two views agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from conformance.judge import foreign_answers
from conformance.judge.phrasing import format_counts, number, pluralize, sentences
from conformance.model.evidence import Convergence, Traffic
from conformance.model.verdict import Judgement, Verdict

OK = foreign_answers.OK
"""The status of an answered HTTP request, as ``Traffic.statuses`` spells it."""


def not_converged(convergence: Convergence) -> str:
    """The change that did not show in time; empty if it converged."""
    if convergence.converged:
        return ""
    return f"not converged within {number(convergence.within_s)} s: {convergence.what}"


def failed(traffic: Traffic) -> str:
    """Requests that no sample workload answered; empty if there are none."""
    lost = traffic.sent - traffic.answers
    if lost <= 0:
        return ""
    foreign = lost - sum(traffic.failures.values())
    other = foreign_answers.other_statuses(traffic)
    causes = dict(traffic.failures)
    if foreign > 0:
        causes["answered by no sample workload"] = foreign
    statuses = format_counts(other) if foreign > 0 and other else ""
    why = sentences((format_counts(causes), statuses, foreign_answers.quote_foreign(traffic)))
    return f"{lost:,} of {pluralize(traffic.sent, 'request')} failed ({why})"


def unresolved(traffic: Traffic) -> str:
    """Requests whose host name did not resolve; empty if there are none.

    They reached no proxy and no server, so they prove neither access nor denial.
    """
    if not (count := traffic.failures.get("dns", 0)):
        return ""
    details = sentences(
        (foreign_answers.resolver_message(traffic), "environment or profile: hosts.service, cluster_domain")
    )
    why = f"the name {traffic.call.host} did not resolve ({details})"
    return f"{count:,} of {pluralize(traffic.sent, 'request')} never left the client: {why}"


def unexpected_responders(traffic: Traffic, allowed: Collection[str]) -> str:
    """Workloads outside ``allowed`` that answered or were reached; empty if there are none."""
    return _strays(traffic, {name for name in _workloads(traffic) if name not in allowed})


def leaked_to(traffic: Traffic, backend: str) -> str:
    """The requests that reached a workload which must get none; empty if there are none."""
    return _strays(traffic, {backend})


def merged(traffic: Traffic, workloads_by_backend: Mapping[str, Collection[str]]) -> Traffic:
    """The traffic with the workloads of each backend counted as that backend."""
    backend = {workload: name for name, workloads in workloads_by_backend.items() for workload in workloads}
    if not backend:
        return traffic

    def place(key: str) -> str:
        workload, colon, port = key.partition(":")
        return backend.get(workload, workload) + colon + port

    def added(counts: Mapping[str, int]) -> dict[str, int]:
        total: Counter[str] = Counter()
        for key, count in counts.items():
            total[place(key)] += count
        return dict(sorted(total.items()))

    return replace(
        traffic,
        answered=added(traffic.answered),
        ports=added(traffic.ports),
        received=added(traffic.received),
        looks=tuple(replace(look, answered=added(look.answered)) for look in traffic.looks),
    )


def arrived(traffic: Traffic, server: str) -> int:
    """Requests that reached a workload, by the client's view or by its ledger, whichever shows more."""
    return max(traffic.answered.get(server, 0), traffic.received.get(server, 0))


def _strays(traffic: Traffic, names: Collection[str]) -> str:
    counts = {name: arrived(traffic, name) for name in names if arrived(traffic, name)}
    if not counts:
        return ""
    total = f"{sum(counts.values()):,} of {pluralize(traffic.sent, 'request')}"
    return f"{total} reached workloads that must get none ({format_counts(counts)})"


def _workloads(traffic: Traffic) -> set[str]:
    return {*traffic.answered, *traffic.received}


def disagreement(traffic: Traffic) -> str:
    """How the clients' view and the servers' ledgers contradict each other; empty if they agree.

    A ledger may exceed the answers that the client saw by the number of requests without an answer.
    """
    lost = traffic.sent - traffic.answers - sum(traffic.failures.values())
    if lost < 0:
        return (
            f"the client reports {-lost:,} more outcomes than the {pluralize(traffic.sent, 'request')} sent"
        )
    for name in sorted(_workloads(traffic)):
        answered, reached = traffic.answered.get(name, 0), traffic.received.get(name, 0)
        unexplained = reached - answered - (traffic.sent - traffic.answers)
        if answered > reached:
            return f"{name} answered {answered:,} of them, but its ledger holds {reached:,}"
        if unexplained > 0:
            return f"{name}'s ledger holds {reached:,} of them, but {answered:,} were answered by it"
    for look in traffic.looks:
        if look.sent > traffic.sent or any(
            count > traffic.answered.get(name, 0) for name, count in look.answered.items()
        ):
            return f"the look at {look.sent:,} requests counts answers that the whole batch has not"
    if traffic.served > traffic.sent:
        return f"the ledgers hold {traffic.served:,} requests, {traffic.sent:,} were sent"
    return ""


def contradictory(traffic: Traffic) -> Judgement | None:
    """Inconclusive if the two views disagree."""
    if not (how := disagreement(traffic)):
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"client and ledgers disagree: {how}",
        hint="a workload that restarted loses its ledger; a mesh that retries or mirrors fills two",
    )


def expired(traffic: Traffic) -> Judgement | None:
    """Inconclusive if steady traffic ended before it was stopped."""
    if not traffic.expired:
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"the background traffic expired after {pluralize(traffic.sent, 'request')}: no later traffic",
        hint="the change, or driving it, took longer than the profile's converge.within_s allows for",
    )


def excused(baseline: Traffic | None, sample: Traffic, *violations: str) -> Judgement | None:
    """Inconclusive if requests failed and the evidence does not attribute that to the change.

    Either the host name did not resolve, or no request was answered before the change either: then the client
    has no access, or the service does not work, independently of the change. Any of ``violations``, further
    findings in the sample, prevents the excuse.
    """
    lost = sample.sent - sample.answers
    if lost <= 0 or any(violations):
        return None
    unresolved_count = sample.failures.get("dns", 0)
    if unresolved_count >= lost:
        return Judgement(Verdict.INCONCLUSIVE, unresolved(sample), hint=foreign_answers.where_to_look(sample))
    if baseline is None or not baseline.sent or baseline.answers or baseline.served:
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"no request was answered before the change either: {unresolved(baseline) or failed(baseline)}; "
        f"under it {failed(sample)}; its effect cannot be judged",
        hint=foreign_answers.where_to_look(baseline),
    )


def hint(baseline: Traffic | None, sample: Traffic, convergence: Convergence, astray: str) -> str:
    """Where to look first, by the evidence; ``astray`` if nothing failed and the change is in force."""
    if failed(sample):
        return foreign_answers.where_to_look(sample)
    if convergence.converged:
        return astray
    if baseline is not None and _answering(baseline) == _answering(sample):
        return "the mesh did not apply the change, or takes longer than its profile allows"
    return "the mesh takes longer than its profile allows (converge.within_s)"


def _answering(traffic: Traffic) -> set[str]:
    return {name for name, count in traffic.answered.items() if count}


def invalid_baseline(baseline: Traffic, sample: Traffic) -> Judgement | None:
    """Inconclusive if nothing was sent, or the baseline (null control) shows nothing to compare with."""
    if not sample.sent:
        return Judgement(Verdict.INCONCLUSIVE, f"nothing was sent: {sample.call}")
    if not baseline.sent:
        return Judgement(Verdict.INCONCLUSIVE, "nothing was sent before the change: there is no null control")
    if not baseline.answers and not baseline.served:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"before the change {unresolved(baseline) or failed(baseline)}: the baseline shows no traffic "
            "to compare with",
            hint=foreign_answers.where_to_look(baseline),
        )
    return None


def no_difference(what: str, counts: Mapping[str, int]) -> Judgement:
    """Inconclusive: the baseline (null control) met the claim as well."""
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"indistinguishable from no mesh: {what} before the change as well ({format_counts(counts)})",
        hint="the fixture must request something that plain Services do not provide",
    )


def too_few(traffic: Traffic, least: int, why: str) -> Judgement | None:
    """Inconclusive if the sample is too small to show the error that it must show."""
    if traffic.sent >= least:
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"{pluralize(traffic.sent, 'request')} cannot show {why}: that takes {least:,}",
    )


def fail_with(*findings: str, expected: str, hint: str = "") -> Judgement | None:
    """Fail with all findings that are not empty; None if all are."""
    if not any(findings):
        return None
    return Judgement(Verdict.FAIL, sentences(findings), expected=expected, hint=hint)

"""Reading one batch of traffic: what went wrong, in words, and whether its two views agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from conformance.judge import strangers
from conformance.judge.phrasing import counted, number, sentences, several
from conformance.model.evidence import Settling, Traffic
from conformance.model.verdict import Judgement, Verdict

OK = strangers.OK
"""The status of an answered HTTP request, as ``Traffic.statuses`` spells it."""


def late(settling: Settling) -> str:
    """What was waited for in vain; empty when the change settled."""
    if settling.settled:
        return ""
    return f"not settled within {number(settling.within_s)} s: {settling.what}"


def failed(traffic: Traffic) -> str:
    """Requests that no sample workload answered; empty when there is none."""
    lost = traffic.sent - traffic.answers
    if lost <= 0:
        return ""
    foreign = lost - sum(traffic.failures.values())
    other = strangers.others(traffic)
    causes = dict(traffic.failures)
    if foreign > 0:
        causes["answered by no sample workload"] = foreign
    statuses = counted(other) if foreign > 0 and other else ""
    why = sentences((counted(causes), statuses, strangers.quoted(traffic)))
    return f"{lost:,} of {several(traffic.sent, 'request')} failed ({why})"


def unsent(traffic: Traffic) -> str:
    """Requests for which their client found no address; empty when there is none.

    No proxy and no server had a part in them, so they show neither that something is closed nor that it was.
    """
    if not (count := traffic.failures.get("dns", 0)):
        return ""
    said = sentences((strangers.resolver(traffic), "environment or profile: hosts.service, cluster_domain"))
    why = f"the name {traffic.call.host} did not resolve ({said})"
    return f"{count:,} of {several(traffic.sent, 'request')} never left the client: {why}"


def strays(traffic: Traffic, allowed: Collection[str]) -> str:
    """Workloads outside ``allowed`` that answered or were reached; empty when there is none."""
    return _strays(traffic, {name for name in _workloads(traffic) if name not in allowed})


def leaked(traffic: Traffic, backend: str) -> str:
    """The requests that a workload got which must get none; empty when there is none."""
    return _strays(traffic, {backend})


def merged(traffic: Traffic, behind: Mapping[str, Collection[str]]) -> Traffic:
    """The traffic with several workloads counted as the one backend that they stand behind."""
    backend = {workload: name for name, workloads in behind.items() for workload in workloads}
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
        reached=added(traffic.reached),
    )


def arrived(traffic: Traffic, server: str) -> int:
    """Requests that got to a workload, by the client's view or its ledger, whichever shows more."""
    return max(traffic.answered.get(server, 0), traffic.reached.get(server, 0))


def _strays(traffic: Traffic, names: Collection[str]) -> str:
    counts = {name: arrived(traffic, name) for name in names if arrived(traffic, name)}
    if not counts:
        return ""
    total = f"{sum(counts.values()):,} of {several(traffic.sent, 'request')}"
    return f"{total} went where none may go ({counted(counts)})"


def _workloads(traffic: Traffic) -> set[str]:
    return {*traffic.answered, *traffic.reached}


def disagreement(traffic: Traffic) -> str:
    """How the clients' view and the servers' ledgers contradict each other; empty when they do not.

    A ledger may hold more than the client saw answered, by as many requests as failed on their way back.
    """
    lost = traffic.sent - traffic.answers - sum(traffic.failures.values())
    if lost < 0:
        return f"the client reports {-lost:,} more outcomes than the {several(traffic.sent, 'request')} sent"
    for name in sorted(_workloads(traffic)):
        answered, reached = traffic.answered.get(name, 0), traffic.reached.get(name, 0)
        unexplained = reached - answered - (traffic.sent - traffic.answers)
        if answered > reached:
            return f"{name} answered {answered:,} of them, but its ledger holds {reached:,}"
        if unexplained > 0:
            return f"{name}'s ledger holds {reached:,} of them, but {answered:,} were answered by it"
    if traffic.served > traffic.sent:
        return f"the ledgers hold {traffic.served:,} requests, {traffic.sent:,} were sent"
    return ""


def contradictory(traffic: Traffic) -> Judgement | None:
    """Inconclusive when the two views disagree."""
    if not (how := disagreement(traffic)):
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"client and ledgers disagree: {how}",
        hint="a workload that restarted loses its ledger; a mesh that retries or mirrors fills two",
    )


def ended(traffic: Traffic) -> Judgement | None:
    """Inconclusive when steady traffic was over before what it was to be there for."""
    if not traffic.ended:
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"the steady traffic was over after {several(traffic.sent, 'request')}: what came then was not seen",
        hint="the change, or the driving of it, took longer than the profile's converge.within_s allows for",
    )


def excused(before: Traffic | None, sample: Traffic, *violations: str) -> Judgement | None:
    """Inconclusive where requests failed and the change is no cause of it that can be seen.

    Either their client found no address for the name, or nobody was answered before the change either: then
    the client is kept out, or the service does not work, whatever the change does. ``violations`` are what
    was seen of the sample besides; where there is one it stands, whatever else there was.
    """
    lost = sample.sent - sample.answers
    if lost <= 0 or any(violations):
        return None
    nameless = sample.failures.get("dns", 0)
    if nameless >= lost:
        return Judgement(Verdict.INCONCLUSIVE, unsent(sample), hint=strangers.look_at(sample))
    if before is None or not before.sent or before.answers or before.served:
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"nobody was answered before the change either: {unsent(before) or failed(before)}; "
        f"under it {failed(sample)}; what it does cannot be judged",
        hint=strangers.look_at(before),
    )


def hint(before: Traffic | None, sample: Traffic, settling: Settling, astray: str) -> str:
    """Where to look first, by what was seen; ``astray`` where nothing failed and the change is in force."""
    if failed(sample):
        return strangers.look_at(sample)
    if settling.settled:
        return astray
    if before is not None and _answering(before) == _answering(sample):
        return "the mesh did not take the change up, or takes longer than its profile allows"
    return "the mesh takes longer than its profile allows (converge.within_s)"


def _answering(traffic: Traffic) -> set[str]:
    return {name for name, count in traffic.answered.items() if count}


def unsound(before: Traffic, sample: Traffic) -> Judgement | None:
    """Inconclusive when nothing was sent, or the null control shows nothing to compare with."""
    if not sample.sent:
        return Judgement(Verdict.INCONCLUSIVE, f"nothing was sent: {sample.call}")
    if not before.sent:
        return Judgement(Verdict.INCONCLUSIVE, "nothing was sent before the change: there is no null control")
    if not before.answers and not before.served:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"before the change {unsent(before) or failed(before)}: there is nothing to tell the effect from",
            hint=strangers.look_at(before),
        )
    return None


def no_difference(what: str, counts: Mapping[str, int]) -> Judgement:
    """The null control met the claim as well."""
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"cannot be told from no mesh: {what} before the change as well ({counted(counts)})",
        hint="the fixture must ask for something that plain Services do not give",
    )


def too_few(traffic: Traffic, least: int, why: str) -> Judgement | None:
    """Inconclusive when the sample could not have shown the error that it must show."""
    if traffic.sent >= least:
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"{several(traffic.sent, 'request')} cannot show {why}: that takes {least:,}",
    )


def wrong(*findings: str, expected: str, hint: str = "") -> Judgement | None:
    """Fail with all findings that are not empty; None when all are."""
    if not any(findings):
        return None
    return Judgement(Verdict.FAIL, sentences(findings), expected=expected, hint=hint)

"""Whether calls are granted and denied as an access table expects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from conformance.judge import traffic_checks
from conformance.judge.phrasing import format_counts, listed, number, pluralize, sentences
from conformance.judge.registry import judge
from conformance.model.evidence import AccessResult, AccessTable, Traffic
from conformance.model.verdict import Judgement, Verdict


class _Finding(NamedTuple):
    result: AccessResult
    verdict: Verdict
    text: str


@judge
def access_enforced(table: AccessTable) -> Judgement:
    """Every call of the table goes through or is denied as its cell expects.

    Each cell is judged by itself and by its own convergence, independently of the others. Granted (a claim of
    effect): not served before, and now every request is answered by the cell's server. Denied: no ledger
    holds any of the requests, whatever the client saw. A denial counts only beside a positive control: a
    granted cell of the same client and server that went through, or the cell's own ``control``. A leak is a
    failure even if the cell has not converged or a control broke. Requests that never left their client are
    neither grant nor denial, even if the control's other host name resolved.
    """
    results = table.results
    findings = [finding for result in results for finding in [_judge_cell(result, results)] if finding]
    failures = [finding for finding in findings if finding.verdict is Verdict.FAIL]
    expected = _describe_expected(results)
    if not results:
        return Judgement(Verdict.INCONCLUSIVE, "the table has no cells: nothing was tried")
    if failures:
        return Judgement(
            Verdict.FAIL,
            _describe_findings(results, failures),
            expected=expected,
            hint=_failure_hint(results, failures),
        )
    if findings:
        return Judgement(Verdict.INCONCLUSIVE, _describe_findings(results, findings), expected=expected)
    return Judgement(Verdict.PASS, f"all {_describe_counts(results)} as expected", expected=expected)


def _judge_cell(result: AccessResult, results: Sequence[AccessResult]) -> _Finding | None:
    found = _granted(result) if result.expect == "granted" else _denied(result, results)
    return _Finding(result, *found) if found else None


def _granted(result: AccessResult) -> tuple[Verdict, str] | None:
    traffic = result.traffic
    if not traffic.sent:
        return Verdict.INCONCLUSIVE, "nothing was sent"
    if traffic_checks.excused(
        None,
        traffic,
        traffic_checks.unexpected_responders(traffic, {result.server}),
        _wrong_statuses(traffic),
    ):
        return Verdict.INCONCLUSIVE, f"is granted, but {traffic_checks.unresolved(traffic)}"
    if _shortfall(result):
        return Verdict.FAIL, _describe_shortfall(result)
    if how := traffic_checks.disagreement(traffic):
        return Verdict.INCONCLUSIVE, f"client and ledgers disagree: {how}"
    if not result.convergence.converged:
        return Verdict.FAIL, f"is granted, but was not {_describe_timing(result)}, only later"
    if result.baseline is None or not result.baseline.sent:
        return Verdict.INCONCLUSIVE, "has no null control: it was not tried without the grant"
    if unresolved := traffic_checks.unresolved(result.baseline):
        return Verdict.INCONCLUSIVE, f"has no null control: without the grant {unresolved}"
    if result.baseline.served or result.baseline.answers:
        through = max(result.baseline.served, result.baseline.answers)
        return Verdict.INCONCLUSIVE, (
            f"indistinguishable from no mesh: {through:,} of {pluralize(result.baseline.sent, 'request')} "
            "went through without the grant"
        )
    return None


def _shortfall(result: AccessResult) -> str:
    """How a granted call fell short; empty when every request was served."""
    traffic = result.traffic
    return sentences(
        (
            traffic_checks.unexpected_responders(traffic, {result.server}),
            traffic_checks.failed(traffic),
            _wrong_statuses(traffic),
        )
    )


def _describe_shortfall(result: AccessResult) -> str:
    if result.convergence.converged:
        return f"is granted and was {_describe_timing(result)}, but then {_shortfall(result)}"
    if _unchanged(result):
        refusal = listed(_outcomes(result.traffic))
        return f"is granted, but was not {_describe_timing(result)}: {refusal} before and after"
    return f"is granted, but was not {_describe_timing(result)}: {_shortfall(result)}"


def _describe_timing(result: AccessResult) -> str:
    took = result.convergence.within_s if result.convergence.took_s is None else result.convergence.took_s
    return f"{'served' if result.expect == 'granted' else 'refused'} within {number(took)} s"


def _unchanged(result: AccessResult) -> bool:
    """Whether a call fails in the same way as before it was granted."""
    baseline, now = result.baseline, result.traffic
    if baseline is None or not baseline.sent or any(one.served or one.answers for one in (baseline, now)):
        return False
    return set(_outcomes(baseline)) == set(_outcomes(now))


def _outcomes(traffic: Traffic) -> dict[str, int]:
    """How often requests failed at the client, by outcome: every outcome but an answer with status OK."""
    statuses = {
        f"status {code}": n for code, n in traffic.statuses.items() if str(code) != traffic_checks.OK and n
    }
    failures = {what: count for what, count in traffic.failures.items() if count}
    lost = traffic.sent - traffic.answers - sum(failures.values()) - sum(statuses.values())
    return {**statuses, **failures, **({"answered by no sample workload": lost} if lost > 0 else {})}


def _wrong_statuses(traffic: Traffic) -> str:
    # A workload that answers on the proxy's behalf with another status has not served the request.
    others = {f"status {code}": n for code, n in traffic.statuses.items() if str(code) != traffic_checks.OK}
    if not any(others.values()) or traffic.answers < traffic.sent:
        return ""
    return f"was answered otherwise than with {traffic_checks.OK}: {format_counts(others)}"


def _denied(result: AccessResult, results: Sequence[AccessResult]) -> tuple[Verdict, str] | None:
    traffic = result.traffic
    leaked = {name: traffic_checks.arrived(traffic, name) for name in {*traffic.received, *traffic.answered}}
    if count := sum(leaked.values()):
        return Verdict.FAIL, (
            f"is denied, but {count:,} of {pluralize(traffic.sent, 'request')} got through "
            f"({format_counts(leaked)}{_describe_client_view(traffic)})"
        )
    if not traffic.sent:
        return Verdict.INCONCLUSIVE, "nothing was sent"
    if unresolved := traffic_checks.unresolved(traffic):
        return Verdict.INCONCLUSIVE, f"is denied, but {unresolved}"
    if result.server not in traffic.received:
        return Verdict.INCONCLUSIVE, f"is denied, but the ledger of {result.server} was not read"
    if not _has_positive_control(result, results):
        return Verdict.INCONCLUSIVE, (
            f"denial ({format_counts(_outcomes(traffic))}) without positive control: no call of "
            f"{traffic.call.client} to {result.server}, nor to its twin, went through"
        )
    if not result.convergence.converged:
        return Verdict.INCONCLUSIVE, f"is denied, but was not {_describe_timing(result)}, only later"
    return None


def _describe_client_view(traffic: Traffic) -> str:
    """The client's view of requests that got through nevertheless."""
    outcomes = _outcomes(traffic)
    return f"; its client saw {format_counts(outcomes)}" if outcomes and not traffic.answers else ""


def _has_positive_control(result: AccessResult, results: Sequence[AccessResult]) -> bool:
    client = result.traffic.call.client
    beside = any(
        other.expect == "granted"
        and other.traffic.call.client == client
        and other.server == result.server
        and _went_through(other.traffic, {other.server})
        for other in results
    )
    return beside or (result.control is not None and _is_control(result.control, client))


def _is_control(twin: Traffic, client: str) -> bool:
    # A client's calls to itself go over loopback, whatever happens to its calls to others.
    itself = client.rpartition("/")[2]
    return twin.call.client == client and itself not in twin.answered and _went_through(twin, twin.answered)


def _went_through(traffic: Traffic, servers: Collection[str]) -> bool:
    return bool(traffic.sent) and not (
        traffic_checks.failed(traffic)
        or traffic_checks.unexpected_responders(traffic, servers)
        or traffic_checks.disagreement(traffic)
        or _wrong_statuses(traffic)
    )


def _describe_findings(results: Sequence[AccessResult], findings: Sequence[_Finding]) -> str:
    outcomes = listed(f"'{finding.result.name}' {finding.text}" for finding in findings)
    return f"{len(findings)} of {pluralize(len(results), 'call')} not as expected: {outcomes}"


def _describe_counts(results: Sequence[AccessResult]) -> str:
    granted = sum(1 for result in results if result.expect == "granted")
    return f"{pluralize(len(results), 'call')} ({granted} granted, {len(results) - granted} denied)"


def _describe_expected(results: Sequence[AccessResult]) -> str:
    granted = [result.name for result in results if result.expect == "granted"]
    denied = [result.name for result in results if result.expect == "denied"]
    return f"granted: {listed(granted)}; denied: {listed(denied)}"


def _failure_hint(results: Sequence[AccessResult], failures: Sequence[_Finding]) -> str:
    shut = [failure.result for failure in failures if failure.result.expect == "granted"]
    if not shut:
        return "the servers' ledgers hold these requests: the evidence shows the port and path of one"
    others = [result for result in results if result.expect == "granted" and result not in shut]
    if not others and all(_unchanged(result) for result in shut):
        return (
            "none of these grants took effect: see in the mesh's log whether it accepted the objects, "
            "then whether the call matches the route as the specification defines it"
        )
    return "see whether the call matches the route as the specification defines it"

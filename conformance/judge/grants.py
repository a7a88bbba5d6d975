"""Whether calls are granted and denied as a table says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from conformance.judge import traffic_checks
from conformance.judge.phrasing import counted, listed, number, sentences, several
from conformance.judge.registry import judge
from conformance.model.evidence import AccessTable, Cell, Traffic
from conformance.model.verdict import Judgement, Verdict


class _Finding(NamedTuple):
    cell: Cell
    verdict: Verdict
    text: str


@judge
def access(table: AccessTable) -> Judgement:
    """Every call of the table goes through or is denied as its cell expects.

    Each cell is judged by itself, also by its own settling: one that never settles says nothing of others.
    Granted (a claim of effect): not served before, and now every request is answered by the cell's server.
    Denied: no ledger holds any of the requests, whatever the client saw. A denial counts only beside a
    positive control: a granted cell of the same client and server that went through, or the cell's own
    ``control``. What leaked is a failure even where the cell has not settled or a control broke.
    Requests that never left their client are nobody's grant or denial: a twin has another name, which may
    resolve.
    """
    cells = table.cells
    findings = [finding for cell in cells for finding in [_judge_cell(cell, cells)] if finding]
    failures = [finding for finding in findings if finding.verdict is Verdict.FAIL]
    asked = _asked(cells)
    if not cells:
        return Judgement(Verdict.INCONCLUSIVE, "the table has no cells: nothing was tried")
    if failures:
        return Judgement(Verdict.FAIL, _told(cells, failures), expected=asked, hint=_hint(cells, failures))
    if findings:
        return Judgement(Verdict.INCONCLUSIVE, _told(cells, findings), expected=asked)
    return Judgement(Verdict.PASS, f"all {_split(cells)} as expected", expected=asked)


def _judge_cell(cell: Cell, cells: Sequence[Cell]) -> _Finding | None:
    found = _granted(cell) if cell.expect == "granted" else _denied(cell, cells)
    return _Finding(cell, *found) if found else None


def _granted(cell: Cell) -> tuple[Verdict, str] | None:
    traffic = cell.traffic
    if not traffic.sent:
        return Verdict.INCONCLUSIVE, "nothing was sent"
    if traffic_checks.excused(
        None, traffic, traffic_checks.strays(traffic, {cell.server}), _refused(traffic)
    ):
        return Verdict.INCONCLUSIVE, f"is granted, but {traffic_checks.unsent(traffic)}"
    if _shortfall(cell):
        return Verdict.FAIL, _fell_short(cell)
    if how := traffic_checks.disagreement(traffic):
        return Verdict.INCONCLUSIVE, f"client and ledgers disagree: {how}"
    if not cell.settling.settled:
        return Verdict.FAIL, f"is granted, but was not {_in_time(cell)}, and was only later"
    if cell.before is None or not cell.before.sent:
        return Verdict.INCONCLUSIVE, "has no null control: it was not tried without the grant"
    if unsent := traffic_checks.unsent(cell.before):
        return Verdict.INCONCLUSIVE, f"has no null control: without the grant {unsent}"
    if cell.before.served or cell.before.answers:
        through = max(cell.before.served, cell.before.answers)
        return Verdict.INCONCLUSIVE, (
            f"cannot be told from no mesh: {through:,} of {several(cell.before.sent, 'request')} "
            "went through without the grant"
        )
    return None


def _shortfall(cell: Cell) -> str:
    """What is missing of a grant; empty when every request was served."""
    traffic = cell.traffic
    return sentences(
        (traffic_checks.strays(traffic, {cell.server}), traffic_checks.failed(traffic), _refused(traffic))
    )


def _fell_short(cell: Cell) -> str:
    if cell.settling.settled:
        return f"is granted and was {_in_time(cell)}, but then {_shortfall(cell)}"
    if _unchanged(cell):
        refusal = listed(_outcomes(cell.traffic))
        return f"is granted, but was not {_in_time(cell)}: {refusal} before and after"
    return f"is granted, but was not {_in_time(cell)}: {_shortfall(cell)}"


def _in_time(cell: Cell) -> str:
    took = cell.settling.within_s if cell.settling.took_s is None else cell.settling.took_s
    return f"{'served' if cell.expect == 'granted' else 'refused'} within {number(took)} s"


def _unchanged(cell: Cell) -> bool:
    """Whether a call gets nowhere, and got nowhere in the same way before it was granted."""
    before, now = cell.before, cell.traffic
    if before is None or not before.sent or any(one.served or one.answers for one in (before, now)):
        return False
    return set(_outcomes(before)) == set(_outcomes(now))


def _outcomes(traffic: Traffic) -> dict[str, int]:
    """What a client saw of requests that no sample workload served as asked: how often, in words."""
    statuses = {
        f"status {code}": n for code, n in traffic.statuses.items() if str(code) != traffic_checks.OK and n
    }
    failures = {what: count for what, count in traffic.failures.items() if count}
    lost = traffic.sent - traffic.answers - sum(failures.values()) - sum(statuses.values())
    return {**statuses, **failures, **({"answered by no sample workload": lost} if lost > 0 else {})}


def _refused(traffic: Traffic) -> str:
    # A workload that answers on the proxy's behalf with another status did not serve the request.
    others = {f"status {code}": n for code, n in traffic.statuses.items() if str(code) != traffic_checks.OK}
    if not any(others.values()) or traffic.answers < traffic.sent:
        return ""
    return f"was answered otherwise than with {traffic_checks.OK}: {counted(others)}"


def _denied(cell: Cell, cells: Sequence[Cell]) -> tuple[Verdict, str] | None:
    traffic = cell.traffic
    leaked = {name: traffic_checks.arrived(traffic, name) for name in {*traffic.reached, *traffic.answered}}
    if count := sum(leaked.values()):
        return Verdict.FAIL, (
            f"is denied, but {count:,} of {several(traffic.sent, 'request')} got through "
            f"({counted(leaked)}{_told_otherwise(traffic)})"
        )
    if not traffic.sent:
        return Verdict.INCONCLUSIVE, "nothing was sent"
    if unsent := traffic_checks.unsent(traffic):
        return Verdict.INCONCLUSIVE, f"is denied, but {unsent}"
    if cell.server not in traffic.reached:
        return Verdict.INCONCLUSIVE, f"is denied, but the ledger of {cell.server} was not read"
    if not _controlled(cell, cells):
        return Verdict.INCONCLUSIVE, (
            f"denial ({counted(_outcomes(traffic))}) without positive control: no call of "
            f"{traffic.call.client} to {cell.server}, nor to its twin, went through"
        )
    if not cell.settling.settled:
        return Verdict.INCONCLUSIVE, f"is denied, but was not {_in_time(cell)}, and was only later"
    return None


def _told_otherwise(traffic: Traffic) -> str:
    """What a client was told of requests that got through all the same."""
    told = _outcomes(traffic)
    return f"; its client saw {counted(told)}" if told and not traffic.answers else ""


def _controlled(cell: Cell, cells: Sequence[Cell]) -> bool:
    client = cell.traffic.call.client
    beside = any(
        other.expect == "granted"
        and other.traffic.call.client == client
        and other.server == cell.server
        and _went_through(other.traffic, {other.server})
        for other in cells
    )
    return beside or (cell.control is not None and _is_control(cell.control, client))


def _is_control(twin: Traffic, client: str) -> bool:
    # What a client answers to itself goes over loopback, whatever becomes of its calls to others.
    itself = client.rpartition("/")[2]
    return twin.call.client == client and itself not in twin.answered and _went_through(twin, twin.answered)


def _went_through(traffic: Traffic, servers: Collection[str]) -> bool:
    return bool(traffic.sent) and not (
        traffic_checks.failed(traffic)
        or traffic_checks.strays(traffic, servers)
        or traffic_checks.disagreement(traffic)
        or _refused(traffic)
    )


def _told(cells: Sequence[Cell], findings: Sequence[_Finding]) -> str:
    told = listed(f"'{finding.cell.name}' {finding.text}" for finding in findings)
    return f"{len(findings)} of {several(len(cells), 'cell')} not as expected: {told}"


def _split(cells: Sequence[Cell]) -> str:
    granted = sum(1 for cell in cells if cell.expect == "granted")
    return f"{several(len(cells), 'cell')} ({granted} granted, {len(cells) - granted} denied)"


def _asked(cells: Sequence[Cell]) -> str:
    granted = [cell.name for cell in cells if cell.expect == "granted"]
    denied = [cell.name for cell in cells if cell.expect == "denied"]
    return f"granted: {listed(granted)}; denied: {listed(denied)}"


def _hint(cells: Sequence[Cell], failures: Sequence[_Finding]) -> str:
    shut = [failure.cell for failure in failures if failure.cell.expect == "granted"]
    if not shut:
        return "what got through is in the servers' ledgers: see by which path and port it came"
    others = [cell for cell in cells if cell.expect == "granted" and cell not in shut]
    if not others and all(_unchanged(cell) for cell in shut):
        return (
            "no grant of these took effect: see in its log whether the mesh took the objects up, "
            "then whether the call matches the route as the specification reads it"
        )
    return "see whether the cell's call matches the route as the specification reads it"

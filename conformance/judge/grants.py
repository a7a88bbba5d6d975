"""Whether calls are granted and denied as a table says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from conformance.evidence import Cell, Settling, Traffic
from conformance.judge import seen
from conformance.judge.registry import judge
from conformance.judge.words import counted, listed, sentences, several
from conformance.verdict import Judgement, Verdict


class _Finding(NamedTuple):
    cell: Cell
    verdict: Verdict
    text: str


@judge
def access(cells: Sequence[Cell], settling: Settling) -> Judgement:
    """Every call of the table goes through or is denied as its cell expects.

    Granted (a claim of effect): not served before, and now every request is answered by the cell's server.
    Denied: no ledger holds any of the requests, whatever the client saw. A denial counts only beside a
    positive control: a granted cell of the same client and server that went through, or the cell's own
    ``control``. What leaked is a failure even where the change has not settled or a control broke.
    Requests that never left their client are nobody's denial: a twin has another name, which may resolve.
    """
    findings = [finding for cell in cells for finding in [_judge_cell(cell, cells, settling)] if finding]
    failures = [finding for finding in findings if finding.verdict is Verdict.FAIL]
    asked = _asked(cells)
    if not cells:
        return Judgement(Verdict.INCONCLUSIVE, "the table has no cells: nothing was tried")
    if failures:
        text = sentences((seen.late(settling), _told(cells, failures)))
        return Judgement(Verdict.FAIL, text, expected=asked, hint=_hint(failures))
    if findings:
        text = sentences((seen.late(settling), _told(cells, findings)))
        return Judgement(Verdict.INCONCLUSIVE, text, expected=asked)
    return Judgement(Verdict.PASS, f"all {_split(cells)} as expected", expected=asked)


def _judge_cell(cell: Cell, cells: Sequence[Cell], settling: Settling) -> _Finding | None:
    found = _granted(cell, settling) if cell.expect == "granted" else _denied(cell, cells, settling)
    return _Finding(cell, *found) if found else None


def _granted(cell: Cell, settling: Settling) -> tuple[Verdict, str] | None:
    traffic = cell.traffic
    if not traffic.sent:
        return Verdict.INCONCLUSIVE, "nothing was sent"
    if seen.excused(None, traffic, seen.strays(traffic, {cell.server})):
        return Verdict.INCONCLUSIVE, f"is granted, but {seen.unsent(traffic)}"
    shortfall = sentences((seen.strays(traffic, {cell.server}), seen.failed(traffic), _refused(traffic)))
    if shortfall:
        return Verdict.FAIL, f"is granted, but {shortfall}"
    if how := seen.disagreement(traffic):
        return Verdict.INCONCLUSIVE, f"client and ledgers disagree: {how}"
    if not settling.settled:
        return Verdict.FAIL, "is granted, but the grant was not seen in force in time"
    if cell.before is None or not cell.before.sent:
        return Verdict.INCONCLUSIVE, "has no null control: it was not tried without the grant"
    if unsent := seen.unsent(cell.before):
        return Verdict.INCONCLUSIVE, f"has no null control: without the grant {unsent}"
    if cell.before.served or cell.before.answers:
        through = max(cell.before.served, cell.before.answers)
        return Verdict.INCONCLUSIVE, (
            f"cannot be told from no mesh: {through:,} of {several(cell.before.sent, 'request')} "
            "went through without the grant"
        )
    return None


def _refused(traffic: Traffic) -> str:
    # A workload that answers on the proxy's behalf with another status did not serve the request.
    others = {f"status {code}": n for code, n in traffic.statuses.items() if str(code) != seen.OK}
    if not any(others.values()) or traffic.answers < traffic.sent:
        return ""
    return f"was answered otherwise than with {seen.OK}: {counted(others)}"


def _denied(cell: Cell, cells: Sequence[Cell], settling: Settling) -> tuple[Verdict, str] | None:
    traffic = cell.traffic
    leaked = {name: seen.arrived(traffic, name) for name in {*traffic.reached, *traffic.answered}}
    if count := sum(leaked.values()):
        total = several(traffic.sent, "request")
        return Verdict.FAIL, f"is denied, but {count:,} of {total} got through ({counted(leaked)})"
    if not traffic.sent:
        return Verdict.INCONCLUSIVE, "nothing was sent"
    if unsent := seen.unsent(traffic):
        return Verdict.INCONCLUSIVE, f"is denied, but {unsent}"
    if cell.server not in traffic.reached:
        return Verdict.INCONCLUSIVE, f"is denied, but the ledger of {cell.server} was not read"
    if not _controlled(cell, cells):
        return Verdict.INCONCLUSIVE, (
            f"denial without positive control: no call of {traffic.call.client} to {cell.server}, "
            "nor to its twin, went through"
        )
    if not settling.settled:
        return Verdict.INCONCLUSIVE, "is denied, but nothing had settled yet"
    return None


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
        seen.failed(traffic)
        or seen.strays(traffic, servers)
        or seen.disagreement(traffic)
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


def _hint(failures: Sequence[_Finding]) -> str:
    if all(failure.cell.expect == "denied" for failure in failures):
        return "what got through is in the servers' ledgers: see by which path and port it came"
    return "see whether the cell's call matches the route as the specification reads it"

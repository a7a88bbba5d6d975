"""Verdicts of a stored report, recomputed from its evidence by the judges of this version."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

import conformance.judge  # noqa: F401 - importing it fills the registry
from conformance.judge.registry import JUDGES, rejudge
from conformance.model.verdict import Basis, Judgement, Verdict
from conformance.report.assemble import count, headline, merged
from conformance.report.document import BasisRecord, Conclusion, Outcome, Report, RequirementRecord


@dataclass(frozen=True, slots=True)
class Difference:
    """A contradiction between a report and its evidence: ``where``, the recorded and the recomputed value."""

    where: str
    recorded: str
    recomputed: str

    def __str__(self) -> str:
        return f"{self.where}: the report says {self.recorded!r}, its evidence {self.recomputed!r}"


class BasisError(ValueError):
    """No judge of this version accepts the basis."""


def recompute(report: Report) -> list[Difference]:
    """All statements of the report that do not follow from its evidence.

    A conclusion whose basis no judge accepts is a difference; so is a conclusion without a basis, unless it
    is neither for nor against the mesh (inconclusive, not claimed).
    """
    found = [difference for record in report.requirements for difference in _of_record(record)]
    due = headline(report.requirements, interrupted=report.run.interrupted)
    found += _compare("headline", report.headline.verdict.value, due.verdict.value)
    found += _compare("headline", report.headline.reason, due.reason)
    found += _compare("headline of a part", str(report.headline.partial), str(due.partial))
    # A report of an earlier version lacks the outcomes introduced since.
    recounted = count(report.requirements)
    found += _compare("counts", str(_some(report.counts)), str(_some(recounted)))
    return found


def _some(counts: Mapping[Outcome, int]) -> dict[Outcome, int]:
    return {outcome: number for outcome, number in sorted(counts.items()) if number}


def _of_record(record: RequirementRecord) -> Iterator[Difference]:
    for test in record.tests:
        yield from _of_test(record.id, test)
    if record.tests and record.status not in {"not reached", "not selected"}:
        status, verdict = merged(record.level, record.tests)
        yield from _compare(record.id, record.status, status)
        yield from _compare(record.id, _word(record.verdict), _word(verdict))


def _word(verdict: Verdict | None) -> str:
    return verdict.value if verdict else "no verdict"


def _of_test(requirement: str, test: Conclusion) -> Iterator[Difference]:
    where = f"{requirement} ({test.nodeid})"
    if test.basis is None and test.verdict in {Verdict.INCONCLUSIVE, Verdict.NOT_CLAIMED}:
        return
    if test.basis is None:
        yield Difference(where, test.verdict.value, "nothing: no basis is recorded")
        return
    try:
        again = judged_again(test.basis)
    except BasisError as error:
        yield Difference(where, test.verdict.value, str(error))
        return
    yield from _compare(where, test.verdict.value, again.verdict.value)
    yield from _compare(where, test.summary, again.summary)
    yield from _compare(where, str(test.shares), str(again.shares))
    yield from _compare(where, str(test.readings), str(again.readings))


def _compare(where: str, recorded: str, recomputed: str) -> list[Difference]:
    return [] if recorded == recomputed else [Difference(where, recorded, recomputed)]


def judged_again(basis: BasisRecord) -> Judgement:
    """The judgement of the recorded arguments. Raises BasisError if the judge does not accept them."""
    live = _live(basis)
    try:
        return rejudge(live)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise BasisError(f"judge {basis.judge} does not accept the recorded arguments: {error}") from error


def _live(basis: BasisRecord) -> Basis:
    """The basis with its arguments in the types of the judge's annotations."""
    judge = JUDGES.get(basis.judge)
    if judge is None:
        raise BasisError(f"this version has no judge {basis.judge}")
    types = _types(judge, basis.arguments)
    try:
        return Basis(
            basis.judge, {name: _decoded(types[name], value) for name, value in basis.arguments.items()}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise BasisError(
            f"judge {basis.judge} does not accept the recorded arguments: {first['msg']}"
        ) from error


def _types(judge: Callable[..., Judgement], names: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(judge)
    parameters = inspect.signature(judge).parameters
    open_ended = [p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD]
    unknown = [name for name in names if name not in parameters and not open_ended]
    if unknown:
        raise BasisError(f"judge {judge.__name__} has no argument {unknown[0]}")
    return {name: hints[name] if name in parameters else hints[open_ended[0]] for name in names}


def _decoded(kind: Any, value: Any) -> Any:
    if kind is Judgement and isinstance(value, dict) and set(value) == {"judge", "arguments"}:
        return _live(BasisRecord(**value))
    decoded = TypeAdapter(_readable(kind)).validate_python(value)
    if isinstance(decoded, Judgement) and decoded.basis is not None:
        return _live(BasisRecord(judge=decoded.basis.judge, arguments=decoded.basis.arguments))
    return decoded


def _readable(kind: Any) -> Any:
    """The type for pydantic to read from JSON, where every collection is a list."""
    return Sequence[get_args(kind)] if get_origin(kind) is Collection else kind  # type: ignore[misc]

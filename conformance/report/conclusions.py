"""Judgements as the report records them and as pytest prints them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from conformance.model.evidence import (
    AdmissionAttempt,
    ApiRead,
    Convergence,
    Effect,
    Environment,
    RoundTrip,
    Traffic,
)
from conformance.model.verdict import Basis, Judgement
from conformance.report.document import (
    ApiReadEvidence,
    AttemptEvidence,
    BasisRecord,
    Conclusion,
    EnvironmentEvidence,
    RoundTripEvidence,
    TrafficEvidence,
)
from conformance.text.sanitize import printable

Observation = Traffic | ApiRead | RoundTrip | AdmissionAttempt | Environment

_RECORDS: dict[type, type[Any]] = {
    Traffic: TrafficEvidence,
    ApiRead: ApiReadEvidence,
    RoundTrip: RoundTripEvidence,
    AdmissionAttempt: AttemptEvidence,
    Environment: EnvironmentEvidence,
}


def named_evidence(value: Any, name: str = "") -> Iterator[tuple[str, Observation | Convergence]]:
    """Every piece of evidence in a judge's arguments, with the name of its argument."""
    if isinstance(value, Observation | Convergence):
        yield name, value
    elif isinstance(value, Effect):
        # The report holds the parts of an effect, not the effect itself.
        stem = name.removesuffix("effect").strip()
        for field in dataclasses.fields(value):
            yield from named_evidence(getattr(value, field.name), f"{stem} {field.name}".strip())
    elif isinstance(value, Basis):
        yield from named_evidence(value.arguments, name)
    elif isinstance(value, Judgement):
        yield from named_evidence(value.basis, name)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from named_evidence(inner, f"{name} {key}".strip())
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from named_evidence(inner, name)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = getattr(value, "name", "")
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            yield from named_evidence(inner, ", ".join(part for part in (own or name, field.name) if part))


def conclude(
    nodeid: str,
    title: str,
    judgement: Judgement,
    duration_s: float = 0.0,
    *,
    versions: Mapping[str, str] = MappingProxyType({}),
) -> Conclusion:
    """The report's record of a judgement: its sentences, its figures, and each piece of its evidence once.

    ``versions`` are the API versions of the test's scenario, by group (short name).
    """
    observations: list[tuple[str, Observation]] = []
    convergences: list[Convergence] = []
    for name, value in named_evidence(judgement.basis):
        if isinstance(value, Convergence):
            if value not in convergences:
                convergences.append(value)
        elif all(value is not earlier for _, earlier in observations):
            observations.append((name, value))
    basis = judgement.basis
    return Conclusion(
        nodeid=nodeid,
        title=title,
        verdict=judgement.verdict,
        summary=judgement.summary,
        expected=judgement.expected,
        hint=judgement.hint,
        shares=judgement.shares,
        readings=judgement.readings,
        convergences=tuple(convergences),
        evidence=tuple(evidence_record(name, value) for name, value in observations),
        basis=None if basis is None else BasisRecord(judge=basis.judge, arguments=basis.arguments),
        duration_s=max(0.0, duration_s),
        versions=dict(versions),
    )


def evidence_record(name: str, value: Observation) -> Any:
    """A piece of evidence as the document holds it."""
    return _RECORDS[type(value)](name=name, value=value)


def render(judgement: Judgement) -> str:
    """A judgement as lines of text; a mesh's answer in it neither steers a terminal nor begins a line."""
    lines = [printable(judgement.summary)]
    if judgement.expected:
        lines.append(f"expected: {printable(judgement.expected)}")
    if judgement.hint:
        lines.append(f"look at: {printable(judgement.hint)}")
    return "\n".join(lines)

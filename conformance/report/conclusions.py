"""From a judgement to what pytest and the report show of it."""

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
from conformance.report import assemble
from conformance.report.document import Conclusion
from conformance.text.sanitize import printable

Seen = Traffic | ApiRead | RoundTrip | AdmissionAttempt | Environment


def evidence(value: Any, name: str = "") -> Iterator[tuple[str, Seen | Convergence]]:
    """Every piece of evidence in the arguments of a judge, with the name of the argument it stands under."""
    if isinstance(value, Seen | Convergence):
        yield name, value
    elif isinstance(value, Effect):
        # Its parts stand in the report as what they are, without a word for the whole.
        stem = name.removesuffix("effect").strip()
        for field in dataclasses.fields(value):
            yield from evidence(getattr(value, field.name), f"{stem} {field.name}".strip())
    elif isinstance(value, Basis):
        yield from evidence(value.arguments, name)
    elif isinstance(value, Judgement):
        yield from evidence(value.basis, name)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from evidence(inner, f"{name} {key}".strip())
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from evidence(inner, name)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = getattr(value, "name", "")
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            yield from evidence(inner, ", ".join(part for part in (own or name, field.name) if part))


def conclude(
    nodeid: str,
    title: str,
    judgement: Judgement,
    duration_s: float,
    *,
    versions: Mapping[str, str] = MappingProxyType({}),
) -> Conclusion:
    """What the report keeps of a judgement: words, figures, and all evidence that it stands on.

    ``versions`` are those that were spoken, by group (short name).
    """
    found = list(evidence(judgement.basis))
    seen: list[tuple[str, Seen]] = []
    convergences: list[Convergence] = []
    for name, value in found:
        if isinstance(value, Convergence):
            if value not in convergences:
                convergences.append(value)
        elif all(value is not earlier for _, earlier in seen):
            seen.append((name, value))
    return assemble.conclusion(
        nodeid,
        title,
        judgement,
        evidence=seen,
        convergences=convergences,
        duration_s=duration_s,
        versions=versions,
    )


def render(judgement: Judgement) -> str:
    """A judgement as lines of text; what a mesh answered neither steers a terminal nor begins a line."""
    lines = [printable(judgement.summary)]
    if judgement.expected:
        lines.append(f"expected: {printable(judgement.expected)}")
    if judgement.hint:
        lines.append(f"look at: {printable(judgement.hint)}")
    return "\n".join(lines)

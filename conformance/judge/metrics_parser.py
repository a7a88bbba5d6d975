"""Strict parser of TrafficMetrics from the API: whatever the body, it raises nothing but MalformedAnswer.

Source of names and fields: apis/traffic-metrics/v1alpha1/traffic-metrics.md of the SMI specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from conformance.judge.phrasing import short
from conformance.judge.quantity import parse_duration, parse_quantity
from conformance.model.evidence import ApiRead

SUCCESSES, FAILURES = "success_count", "failure_count"
COUNTS = (SUCCESSES, FAILURES)
PERCENTILES = {
    "p50": "p50_response_latency",
    "p90": "p90_response_latency",
    "p99": "p99_response_latency",
}
"""The percentiles in ascending order, with the names of their metrics."""

UNITS_IN_MS: Mapping[str, Fraction] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), Fraction(1000)),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), Fraction(1)),
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), Fraction(1, 1000)),
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), Fraction(1, 10**6)),
}
"""Units of a latency. The examples have 'seconds', existing servers send 'ms'; any of these is accepted."""

_MOST_ITEMS = 100_000
_LONGEST = 253
"""The longest name of a Kubernetes object: a DNS subdomain."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class MalformedAnswer(ValueError):
    """A body that deviates from the specification; ``str`` says where and how, in a sentence."""


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """A Kubernetes object as TrafficMetrics reference it; absent fields are empty."""

    kind: str = ""
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}".strip() or "(nothing)"


@dataclass(frozen=True, slots=True)
class SplitBackend:
    """The backend of a TrafficSplit that a TrafficMetrics describes."""

    apex: str
    name: str
    weight: Fraction


@dataclass(frozen=True, slots=True)
class TrafficMetrics:
    """One TrafficMetrics: ``values`` by metric name, latencies in milliseconds, counts as sent."""

    resource: ObjectReference
    direction: str
    side: str
    peer: ObjectReference
    timestamp: datetime
    window_s: float
    values: Mapping[str, Fraction]
    backend: SplitBackend | None = None

    @property
    def successes(self) -> float:
        return float(self.values[SUCCESSES])

    @property
    def failures(self) -> float:
        return float(self.values[FAILURES])

    @property
    def total(self) -> float:
        return self.successes + self.failures


@dataclass(frozen=True, slots=True)
class TrafficMetricsList:
    """A TrafficMetricsList."""

    resource: ObjectReference
    items: tuple[TrafficMetrics, ...]


def parse_metrics(read: ApiRead) -> TrafficMetrics:
    """The single TrafficMetrics of a get. Raises MalformedAnswer."""
    return _traffic_metrics(body_of_kind(read, "TrafficMetrics"), f"the answer to {read.path}")


def parse_list(read: ApiRead) -> TrafficMetricsList:
    """The TrafficMetricsList of a list, or of an object's edges. Raises MalformedAnswer."""
    where = f"the answer to {read.path}"
    body = body_of_kind(read, "TrafficMetricsList")
    items = body.get("items")
    if not isinstance(items, list):
        raise MalformedAnswer(f"{where}: items is {short(items)}, not a list")
    if len(items) > _MOST_ITEMS:
        raise MalformedAnswer(f"{where} has {len(items):,} items")
    return TrafficMetricsList(
        _reference(body.get("resource"), f"{where}: resource"),
        tuple(_traffic_metrics(item, f"{where}: items[{index}]") for index, item in enumerate(items)),
    )


def parse_any(read: ApiRead) -> tuple[TrafficMetrics, ...]:
    """The TrafficMetrics of a get or a list, whichever the answer is. Raises MalformedAnswer."""
    body = read.body
    if isinstance(body, dict) and body.get("kind") == "TrafficMetricsList":
        return parse_list(read).items
    return (parse_metrics(read),)


def body_of_kind(read: ApiRead, kind: str) -> dict[str, Any]:
    """The body of an answer of status 200 and of that kind. Raises MalformedAnswer."""
    if read.status != 200:
        raise MalformedAnswer(f"{read.path} answered {read.status}{_message(read.body)}")
    if not isinstance(read.body, dict):
        raise MalformedAnswer(f"{read.path} answered {short(read.body)}, not an object")
    if read.body.get("kind") != kind:
        raise MalformedAnswer(
            f"{read.path} answered an object of kind {short(read.body.get('kind'))}, not {kind}"
        )
    return read.body


def _message(body: Any) -> str:
    message = body.get("message") if isinstance(body, dict) else None
    return f" ({short(message, 120)})" if message else ""


def _traffic_metrics(body: Any, where: str) -> TrafficMetrics:
    found = _object(body, where)
    if found.get("kind") != "TrafficMetrics":
        raise MalformedAnswer(f"{where} is of kind {short(found.get('kind'))}, not TrafficMetrics")
    edge = _object(found.get("edge"), f"{where}: edge")
    if "resource" not in edge:
        raise MalformedAnswer(f"{where}: edge has no resource; for all traffic it is present, but empty")
    return TrafficMetrics(
        resource=_reference(found.get("resource"), f"{where}: resource"),
        direction=_choice(edge.get("direction"), ("to", "from"), f"{where}: edge.direction"),
        side=_choice(edge.get("side"), ("client", "server"), f"{where}: edge.side"),
        # Go serialises an unset pointer as null: the same as an empty reference.
        peer=_reference(edge["resource"] or {}, f"{where}: edge.resource"),
        timestamp=_timestamp(found.get("timestamp"), f"{where}: timestamp"),
        window_s=_window(found.get("window"), f"{where}: window"),
        values=_values(found.get("metrics"), f"{where}: metrics"),
        backend=_backend(found["backend"], f"{where}: backend") if found.get("backend") else None,
    )


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedAnswer(f"{where} is {short(value)}, not an object")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise MalformedAnswer(f"{where} is {short(value)}, not a string")
    if len(value) > _LONGEST or not value.isprintable():
        raise MalformedAnswer(f"{where} is {short(value)}, not a name")
    return value


def _choice(value: Any, choices: tuple[str, ...], where: str) -> str:
    if value not in choices or not isinstance(value, str):
        raise MalformedAnswer(f"{where} is {short(value)}, not {' or '.join(choices)}")
    return value


def _reference(value: Any, where: str) -> ObjectReference:
    found = _object(value, where)
    fields = {key: _text(found.get(key) or "", f"{where}.{key}") for key in ("kind", "name", "namespace")}
    return ObjectReference(**fields)


def _backend(value: Any, where: str) -> SplitBackend:
    found = _object(value, where)
    try:
        weight = parse_quantity(found.get("weight"))
    except ValueError as error:
        raise MalformedAnswer(f"{where}.weight is {short(found.get('weight'))}: {error}") from error
    return SplitBackend(
        _text(found.get("apex"), f"{where}.apex"), _text(found.get("name"), f"{where}.name"), weight
    )


def _timestamp(value: Any, where: str) -> datetime:
    text = _text(value, where)
    if _RFC3339.fullmatch(text) is None:
        raise MalformedAnswer(f"{where} is {short(text)}, not a time of RFC 3339")
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise MalformedAnswer(f"{where} is {short(text)}, not a time of RFC 3339") from error


def _window(value: Any, where: str) -> float:
    try:
        seconds = float(parse_duration(value))
    except (ValueError, OverflowError) as error:
        raise MalformedAnswer(f"{where} is {short(value)}: {error}") from error
    if seconds <= 0:
        raise MalformedAnswer(f"{where} is {short(value)}, not a length of time")
    return seconds


def _values(value: Any, where: str) -> Mapping[str, Fraction]:
    if not isinstance(value, list):
        raise MalformedAnswer(f"{where} is {short(value)}, not a list")
    values: dict[str, Fraction] = {}
    for index, entry in enumerate(value):
        found = _object(entry, f"{where}[{index}]")
        name = _text(found.get("name"), f"{where}[{index}].name")
        if name in values:
            raise MalformedAnswer(f"{where} has {short(name)} twice")
        if name in COUNTS or name in PERCENTILES.values():
            values[name] = _value(name, found, where)
    missing = [name for name in (*PERCENTILES.values(), *COUNTS) if name not in values]
    if missing:
        raise MalformedAnswer(f"{where} lacks {', '.join(missing)}")
    return values


def _value(name: str, entry: Mapping[str, Any], where: str) -> Fraction:
    try:
        value = parse_quantity(entry.get("value"))
    except ValueError as error:
        raise MalformedAnswer(f"{where}: {name} is {short(entry.get('value'))}: {error}") from error
    if value < 0:
        raise MalformedAnswer(f"{where}: {name} is {short(entry.get('value'))}, less than nothing")
    unit = entry.get("unit") or ""
    if name in COUNTS:
        if unit:
            raise MalformedAnswer(f"{where}: {name} is a count, but has the unit {short(unit)}")
        return value
    if not isinstance(unit, str) or unit.strip() not in UNITS_IN_MS:
        raise MalformedAnswer(
            f"{where}: {name} has the unit {short(unit)}, not a unit of time such as 'seconds'"
        )
    return value * UNITS_IN_MS[unit.strip()]

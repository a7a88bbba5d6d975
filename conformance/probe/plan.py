"""Plans: the traffic that a probe sends. Parsed from JSON, validated as a whole before the first byte."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

MAX_REQUESTS = 200_000
"""Maximum requests of one plan; endless traffic ends there too."""
MAX_CONCURRENCY = 1_024
DEFAULT_DEADLINE_S = 60.0
MAX_DURATION_S = 3_600.0
_PROTOCOLS = ("http", "http2", "grpc", "tcp", "udp", "greeting")
_LINE_PROTOCOLS = frozenset({"tcp", "udp", "greeting"})
OVER_HTTP2 = frozenset({"http2", "grpc"})
_BATCH_KEYS = frozenset(
    {
        *("id", "protocol", "host", "port", "requests", "concurrency", "connections", "per_connection"),
        *("method", "path", "headers", "body", "timeout_s", "duration_s", "rate_per_s", "until", "looks"),
    }
)
_PLAN_KEYS = frozenset({"batches", "parallel", "deadline_s"})


class PlanError(ValueError):
    """An invalid plan."""


class Bounds(NamedTuple):
    """Bounds of the answers of some servers together, all included.

    From ``low`` to ``high`` they are accepted (none if ``low`` is higher), outside of ``least`` to ``most``
    rejected.
    """

    servers: tuple[str, ...]
    low: int
    high: int
    least: int
    most: int


class LookBounds(NamedTuple):
    """A look at the first ``requests`` requests, in the order of sending.

    The batch ends if all bounds accept, and their servers have answered all requests, or if one rejects.
    """

    requests: int
    bounds: tuple[Bounds, ...]


class Batch(NamedTuple):
    """Requests of one kind to one address.

    ``protocol`` is http (HTTP/1.1), http2 (cleartext with prior knowledge: RFC 9113, section 3.3), grpc (over
    HTTP/2), tcp, udp, or greeting (tcp, where the server speaks first; one request per connection).
    ``requests`` is None for traffic that continues until it is stopped or ``duration_s`` seconds have passed.
    ``interval_s`` is the time between requests; 0 means as fast as the connections allow.
    ``until_others``: the batch ends when all other batches of its plan have ended.
    ``per_connection`` is the number of requests per connection, None for any number. ``single_connection``:
    all requests share one connection, concurrently over HTTP/2; otherwise ``concurrency`` is 1.
    ``looks`` may end the batch before ``requests``; each is at more requests than the one before it.
    """

    id: str
    protocol: str
    host: str
    port: int
    requests: int | None
    concurrency: int
    per_connection: int | None
    single_connection: bool
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_s: float
    duration_s: float | None
    interval_s: float
    until_others: bool
    looks: tuple[LookBounds, ...]


class Plan(NamedTuple):
    """Batches sent in parallel or one after another, within ``deadline_s`` seconds in total."""

    batches: tuple[Batch, ...]
    parallel: bool
    deadline_s: float


def read_plan(document: object, *, bounded: bool = True) -> Plan:
    """Parse a plan from a JSON document; a ``bounded`` plan must end by itself.

    Raises PlanError, which names the batch and the problem.
    """
    given = _object(document, "the plan", _PLAN_KEYS)
    listed = given.get("batches")
    if not isinstance(listed, list) or not listed:
        raise PlanError("a plan needs a list of batches")
    batches = tuple(_batch(each) for each in listed)
    if len({batch.id for batch in batches}) < len(batches):
        raise PlanError("two batches of the plan have the same id")
    if sum(batch.requests or 0 for batch in batches) > MAX_REQUESTS:
        raise PlanError(f"more than {MAX_REQUESTS} requests in one plan")
    parallel = bool(given.get("parallel", False))
    following = [batch.id for batch in batches if batch.until_others]
    if following and (not parallel or len(following) == len(batches)):
        raise PlanError(f"batch {following[0]} has no other batches to follow")
    endless = [
        batch.id
        for batch in batches
        if batch.requests is None and batch.duration_s is None and not batch.until_others
    ]
    if bounded and endless:
        raise PlanError(f"batch {endless[0]} has no end")
    default = DEFAULT_DEADLINE_S if bounded else MAX_DURATION_S
    deadline_s = _number(given, "deadline_s", default, 0.001, MAX_DURATION_S, "the plan")
    return Plan(batches, parallel, deadline_s)


def _batch(document: object) -> Batch:
    given = _object(document, "a batch", _BATCH_KEYS)
    name = given.get("id")
    if not isinstance(name, str) or not name or not name.isascii() or any(c.isspace() for c in name):
        raise PlanError(f"the id of a batch must be an ASCII word, not {name!r}")
    where = f"batch {name}"
    protocol = given.get("protocol", "http")
    if protocol not in _PROTOCOLS:
        raise PlanError(f"{where}: protocol must be one of {', '.join(_PROTOCOLS)}, not {protocol!r}")
    if given.get("until") not in (None, "others"):
        raise PlanError(f"{where}: until must be 'others', not {given['until']!r}")
    requests, duration_s, interval_s = _amount(given, where)
    until_others = given.get("until") == "others"
    if until_others and requests is not None:
        raise PlanError(f"{where}: a batch that follows others needs a rate, not a number of requests")
    return Batch(
        id=name,
        protocol=protocol,
        host=_text(given, "host", None, where, forbidden="\r\n \0"),
        port=_count(given, "port", None, 65_535, where),
        requests=requests,
        concurrency=_concurrency(given, protocol, where),
        per_connection=1 if protocol == "greeting" else _per_connection(given, where),
        single_connection=given.get("connections") == "one",
        method=_method(given, protocol, where),
        path=_text(given, "path", "/", where, forbidden="\r\n \0"),
        headers=_headers(given.get("headers"), where),
        body=_body(given, protocol, where),
        timeout_s=_number(given, "timeout_s", 2.0, 0.001, MAX_DURATION_S, where),
        duration_s=duration_s,
        interval_s=interval_s,
        until_others=until_others,
        looks=_looks(given.get("looks"), where),
    )


def _amount(given: dict[str, Any], where: str) -> tuple[int | None, float | None, float]:
    """Number of requests, duration, and interval; a rate overrides the number."""
    duration = given.get("duration_s")
    if duration is not None:
        duration = _number(given, "duration_s", 0.0, 0.001, MAX_DURATION_S, where)
    if given.get("rate_per_s") is not None:
        rate = _number(given, "rate_per_s", 0.0, 0.001, 100_000.0, where)
        if duration is not None and math.ceil(rate * duration) > MAX_REQUESTS:
            raise PlanError(f"{where}: more than {MAX_REQUESTS} requests in one plan")
        return None, duration, 1 / rate
    if given.get("requests") is None:
        return None, duration, 0.0
    requests = _count(given, "requests", None, MAX_REQUESTS, where)
    return requests, duration, duration / requests if duration else 0.0


def _looks(given: object, where: str) -> tuple[LookBounds, ...]:
    """The looks in a list of [requests, [[servers, low, high, least, most], …]]."""
    try:
        looks = tuple(
            LookBounds(requests, tuple(Bounds(tuple(servers), *numbers) for servers, *numbers in bounds))
            for requests, bounds in given or ()  # type: ignore[attr-defined]
        )
    except (TypeError, ValueError) as error:
        wanted = "[requests, [[servers, low, high, least, most], …]]"
        raise PlanError(f"{where}: looks must be a list of {wanted}") from error
    sizes = [look.requests for look in looks]
    numbers = [*sizes, *(number for look in looks for one in look.bounds for number in one[1:])]
    if any(type(number) is not int for number in numbers):
        raise PlanError(f"{where}: looks must have numbers of requests")
    if sizes != sorted(set(sizes)):
        raise PlanError(f"{where}: each look must be at more requests than the one before it")
    return looks


def _concurrency(given: dict[str, Any], protocol: str, where: str) -> int:
    concurrency = _count(given, "concurrency", 1, MAX_CONCURRENCY, where)
    one_by_one = given.get("connections") == "one" and protocol not in OVER_HTTP2
    return 1 if one_by_one else concurrency


def _method(given: dict[str, Any], protocol: str, where: str) -> str:
    method = _text(given, "method", "POST" if protocol == "grpc" else "GET", where, forbidden="\r\n \0")
    if protocol == "grpc" and method != "POST":
        raise PlanError(f"{where}: the method of grpc must be POST, not {method!r}")
    return method


def _per_connection(given: dict[str, Any], where: str) -> int | None:
    connections = given.get("connections", "reuse")
    if connections not in ("reuse", "fresh", "one"):
        raise PlanError(f"{where}: connections must be reuse, fresh or one, not {connections!r}")
    if connections == "fresh":
        return 1
    if given.get("per_connection") is None:
        return None
    return _count(given, "per_connection", None, MAX_REQUESTS, where)


def _headers(given: object, where: str) -> tuple[tuple[str, str], ...]:
    pairs = list(given.items()) if isinstance(given, dict) else given or []
    checked = []
    for pair in pairs if isinstance(pairs, list) else [None]:
        if not isinstance(pair, (list, tuple)) or [type(part) for part in pair] != [str, str]:
            raise PlanError(f"{where}: headers must be an object or a list of pairs, of strings")
        name, value = pair
        if (
            not name
            or any(character in ":\r\n \0" for character in name)
            or any(character in "\r\n\0" for character in value)
        ):
            raise PlanError(f"{where}: {name!r} is not a valid header")
        if not (name + value).isascii():
            raise PlanError(f"{where}: header {name!r} is not ASCII")
        checked.append((name, value))
    return tuple(checked)


def _body(given: dict[str, Any], protocol: str, where: str) -> bytes:
    text = given.get("body")
    if text is not None and not isinstance(text, str):
        raise PlanError(f"{where}: body must be a string")
    if text and protocol in _LINE_PROTOCOLS and "\n" in text:
        raise PlanError(f"{where}: the body of {protocol} must be one line")
    return (text or "").encode()


def _object(document: object, what: str, keys: frozenset[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise PlanError(f"{what} must be a JSON object")
    unknown = sorted(set(document) - keys)
    if unknown:
        raise PlanError(f"{what} has no field {unknown[0]!r}")
    return document


def _text(given: dict[str, Any], key: str, default: str | None, where: str, *, forbidden: str) -> str:
    value = given.get(key, default)
    if not isinstance(value, str) or not value or not value.isascii() or set(value) & set(forbidden):
        raise PlanError(f"{where}: {key} must be an ASCII word, not {value!r}")
    return value


def _count(given: dict[str, Any], key: str, default: int | None, most: int, where: str) -> int:
    value = given.get(key, default)
    if type(value) is not int or not 1 <= value <= most:
        raise PlanError(f"{where}: {key} must be a number from 1 to {most}, not {value!r}")
    return value


def _number(given: dict[str, Any], key: str, default: float, least: float, most: float, where: str) -> float:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise PlanError(f"{where}: {key} must be a number from {least:g} to {most:g}, not {value!r}")
    return float(value)

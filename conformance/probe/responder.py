"""The common part of both HTTP servers: a request's instructions, its ledger entry, and the answer's body."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .http1_framing import Malformed
from .ledger import Entry, Ledger

_MAX_TEXT = 512
_MAX_HEADERS = 32
_MAX_DELAY_S = 60.0
BODILESS = frozenset({204, 304})
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Identity(NamedTuple):
    """The server's identity: the names of its workload and its pod."""

    name: str
    pod: str


class Responder:
    """The identity that serves a port, and the ledger that records its requests."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, identity: Identity, port: int, ledger: Ledger
    ) -> None:
        self.loop = loop
        self.identity = identity
        self.port = port
        self.ledger = ledger

    def record(
        self, request: Request, connection: int, remote: str, headers: Callable[[], dict[str, str]]
    ) -> None:
        """Record a request in the ledger; ``headers`` returns its headers as received."""

        def entry() -> Entry:
            path = request.path[:_MAX_TEXT]
            return Entry(self.port, request.method, path, headers(), connection, remote)

        self.ledger.record(request.nonce, self.port, entry)

    def response_body(self, request: Request) -> str:
        """The body of an answer, JSON."""
        return _encode(
            {
                "server": self.identity.name,
                "port": self.port,
                "nonce": request.nonce,
                "method": request.method,
                "path": request.path[:_MAX_TEXT],
                "pod": self.identity.pod,
            }
        )


class Request:
    """The head of a request, with its instructions to the server. Raises Malformed for an invalid number.

    If it names a server (``x-probe-at``), its instructions apply to that alone; ``server`` is this server.
    """

    __slots__ = ("delay_s", "fields", "last", "method", "nonce", "path", "status")

    def __init__(
        self, method: bytes, path: bytes, fields: dict[bytes, bytes], server: str, *, last: bool
    ) -> None:
        self.method = method.decode("latin-1")
        self.path = path.decode("latin-1")
        self.fields = fields
        self.nonce = fields.get(b"x-probe-nonce", b"").decode("latin-1")
        self.last = last
        self.status = 200
        self.delay_s = 0.0
        if fields.get(b"x-probe-at", server.encode()) != server.encode():
            return
        if b"x-probe-status" in fields:
            self.status = min(max(_number(fields[b"x-probe-status"]), 200), 599)
        if b"x-probe-delay-ms" in fields:
            self.delay_s = min(_number(fields[b"x-probe-delay-ms"]) / 1000, _MAX_DELAY_S)


def _number(value: bytes) -> int:
    if not value.isdigit() or len(value) > 9:
        raise Malformed("a number was expected")
    return int(value)


def raw_headers(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header fields with their names as received, up to a maximum number."""
    found: dict[str, str] = {}
    for name, value in itertools.islice(fields, _MAX_HEADERS):
        found[name] = (f"{found[name]}, {value}" if name in found else value)[:_MAX_TEXT]
    return found

"""What serving HTTP takes in either version: what a request asks for, its entry, and who answers."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .framing import Malformed
from .ledger import Entry, Ledger

_CLIP = 512
_HEADERS = 32
_LONGEST_DELAY_S = 60.0
BODILESS = frozenset({204, 304})
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Identity(NamedTuple):
    """Who serves: the workload's name and the pod's."""

    name: str
    pod: str


class Responder:
    """Who serves a port, and the ledger that its requests are entered into."""

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
        """Enter a request into the ledger; ``headers`` gives them as they came over the wire."""

        def entry() -> Entry:
            path = request.path[:_CLIP]
            return Entry(self.port, request.method, path, headers(), connection, remote)

        self.ledger.record(request.nonce, self.port, entry)

    def said(self, request: Request) -> str:
        """The body of an answer."""
        return _encode(
            {
                "server": self.identity.name,
                "port": self.port,
                "nonce": request.nonce,
                "method": request.method,
                "path": request.path[:_CLIP],
                "pod": self.identity.pod,
            }
        )


class Request:
    """The head of a request, with what it tells the server to do. Raises Malformed for what is no number.

    What it tells is for one server alone where it names one (``x-probe-at``); ``server`` is who reads it.
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
            self.delay_s = min(_number(fields[b"x-probe-delay-ms"]) / 1000, _LONGEST_DELAY_S)


def _number(value: bytes) -> int:
    if not value.isdigit() or len(value) > 9:
        raise Malformed("a number was expected")
    return int(value)


def spelled(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header fields with their names as they came over the wire; not all, if there are very many."""
    found: dict[str, str] = {}
    for name, value in itertools.islice(fields, _HEADERS):
        found[name] = (f"{found[name]}, {value}" if name in found else value)[:_CLIP]
    return found

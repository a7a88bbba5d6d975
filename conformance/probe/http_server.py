"""Serves HTTP: each answer names the server, and each request is recorded in the ledger.

This module serves HTTP/1.1. A connection that begins with the HTTP/2 preface is handed over.

Header and body leave in one write: in two, the second would wait for the peer's delayed acknowledgement,
which takes 40 ms.
"""

from __future__ import annotations

import asyncio
import http
import itertools
import socket
from collections.abc import Callable, Iterator

from .http1_framing import HEAD_LIMIT, ChunkedBody, Malformed, SizedBody, announced_body, closes, split_head
from .responder import BODILESS, Request, Responder, raw_headers
from .transport import Transport

_CLOSE = "connection: close\r\n"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The preface of a client with prior knowledge of HTTP/2 support (RFC 9113, section 3.4)."""
_REASONS = {status.value: status.phrase for status in http.HTTPStatus}
Upgrade = Callable[[Responder, Transport, int, str, bytes], None]
"""Continues a connection in HTTP/2: its transport, serial number, remote address, and first bytes."""


class HttpServer:
    """A port that serves HTTP/1.1, and HTTP/2 through ``upgrade``."""

    def __init__(self, responder: Responder, upgrade: Upgrade) -> None:
        self.responder = responder
        self.upgrade = upgrade
        self._serials = itertools.count(1)
        identity_headers = f"x-probe-server: {responder.identity.name}\r\nx-probe-port: {responder.port}"
        self._identity_headers = f"content-type: application/json\r\n{identity_headers}"

    def accepted(self, sock: socket.socket, remote: str) -> None:
        _Connection(self, sock, next(self._serials), remote)

    def answer(self, request: Request) -> bytes:
        """The whole response, as bytes."""
        body = self.responder.response_body(request)
        status = request.status
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n{self._identity_headers}\r\n"
            f"x-probe-nonce: {request.nonce}\r\n{_CLOSE if request.last else ''}"
        )
        if status in BODILESS:
            return f"{head}\r\n".encode("latin-1")
        sent = "" if request.method == "HEAD" else body
        return f"{head}content-length: {len(body)}\r\n\r\n{sent}".encode("latin-1")


class _Connection:
    __slots__ = (
        *("_body", "_buffer", "_head", "_held", "_remote", "_responder"),
        *("_serial", "_server", "_timer", "_transport", "_undecided"),
    )

    def __init__(self, server: HttpServer, sock: socket.socket, serial: int, remote: str) -> None:
        self._server = server
        self._responder = server.responder
        self._serial = serial
        self._remote = remote
        self._buffer = b""
        self._undecided = True
        self._head: Request | None = None
        self._body: SizedBody | ChunkedBody | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self._transport = Transport(server.responder.loop, sock, self._received, self._lost)

    def _received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._undecided:
            if _PREFACE.startswith(self._buffer[: len(_PREFACE)]):
                self._upgrade()
                return
            self._undecided = False
        try:
            while self._buffer and not self._held and not self._transport.closed and self._advance():
                pass
        except Malformed as error:
            self._reject(400, str(error))

    def _upgrade(self) -> None:
        """Switch to HTTP/2 once the preface is complete."""
        if len(self._buffer) >= len(_PREFACE):
            began, self._buffer = self._buffer, b""
            self._server.upgrade(self._responder, self._transport, self._serial, self._remote, began)

    def _lost(self, error: OSError | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _advance(self) -> bool:
        """Parse the next head or body; False when more bytes are needed."""
        if self._body is not None:
            rest = self._body.feed(self._buffer)
            self._buffer = rest or b""
            if rest is None:
                return False
            self._body = None
        elif not self._begin():
            return False
        if self._body is None and self._head is not None:
            self._finish(self._head)
        return True

    def _begin(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            # A server ignores empty lines before a request (RFC 9112, section 2.2).
            self._buffer = self._buffer.lstrip(b"\r\n") if self._buffer[:1] in b"\r\n" else self._buffer
            if len(self._buffer) > HEAD_LIMIT:
                self._reject(431, "a head without end")
            return False
        raw = self._buffer[:end].lstrip(b"\r\n")
        self._buffer = self._buffer[end + 4 :]
        if not raw:
            return True
        self._head = request = _parse_request(raw, self._responder.identity.name)
        self._responder.record(request, self._serial, self._remote, lambda: raw_headers(_lines(raw)))
        body = announced_body(request.fields)
        self._body = None if isinstance(body, SizedBody) and body.empty else body
        if b"expect" in request.fields and self._body is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _finish(self, request: Request) -> None:
        self._head = None
        delay = request.delay_s
        if delay:
            self._held = True
            self._transport.hold(True)
            self._timer = self._responder.loop.call_later(delay, self._after_delay, request)
        else:
            self._answer(request)

    def _after_delay(self, request: Request) -> None:
        self._timer = None
        self._held = False
        self._answer(request)
        self._transport.hold(False)
        if self._buffer:
            self._received(b"")

    def _answer(self, request: Request) -> None:
        self._transport.write(self._server.answer(request))
        if request.last and self._transport.idle and not self._buffer:
            self._transport.close()
        elif request.last:
            self._transport.finish()

    def _reject(self, status: int, reason: str) -> None:
        self._responder.ledger.unidentified += 1
        body = reason.encode("latin-1")
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-length: {len(body)}\r\n{_CLOSE}\r\n"
        self._buffer = b""
        self._transport.write(head.encode("latin-1") + body)
        self._transport.finish()


def _parse_request(raw: bytes, server: str) -> Request:
    """Parse the head of an HTTP/1.1 request. Raises Malformed."""
    first, fields = split_head(raw)
    words = first.split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0") or not words[0] or not words[1]:
        raise Malformed("not a request line of HTTP/1.1")
    return Request(words[0], words[1], fields, server, last=closes(words[2], fields))


def _lines(raw: bytes) -> Iterator[tuple[str, str]]:
    for line in raw.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        yield name, value.strip()

"""Serves HTTP: answers each request with who answered it, and enters it into the ledger.

HTTP/1.1 is spoken here. A connection that begins with the preface of HTTP/2 is handed over.

Header and body leave in one write: written apart, the second waits for the peer's delayed acknowledgement,
which takes 40 ms.
"""

from __future__ import annotations

import asyncio
import http
import itertools
import socket
from collections.abc import Callable, Iterator

from .framing import HEAD_LIMIT, Chunked, Malformed, Sized, closes, split_head, stated_body
from .responder import BODILESS, Request, Responder, spelled
from .stream import Stream

_CLOSE = "connection: close\r\n"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client says that knows that the server speaks HTTP/2 (RFC 9113, section 3.4)."""
_REASONS = {status.value: status.phrase for status in http.HTTPStatus}
Upgrade = Callable[[Responder, Stream, int, str, bytes], None]
"""Goes on in HTTP/2 on a connection: its stream, serial number and remote address, and what it began with."""


class HttpServer:
    """One port that speaks HTTP/1.1, and HTTP/2 by ``upgrade``."""

    def __init__(self, responder: Responder, upgrade: Upgrade) -> None:
        self.responder = responder
        self.upgrade = upgrade
        self._serials = itertools.count(1)
        named = f"x-probe-server: {responder.identity.name}\r\nx-probe-port: {responder.port}"
        self._named = f"content-type: application/json\r\n{named}"

    def accepted(self, made: socket.socket, remote: str) -> None:
        _Connection(self, made, next(self._serials), remote)

    def answer(self, request: Request) -> bytes:
        """The whole response, as bytes."""
        body = self.responder.said(request)
        status = request.status
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n{self._named}\r\n"
            f"x-probe-nonce: {request.nonce}\r\n{_CLOSE if request.last else ''}"
        )
        if status in BODILESS:
            return f"{head}\r\n".encode("latin-1")
        sent = "" if request.method == "HEAD" else body
        return f"{head}content-length: {len(body)}\r\n\r\n{sent}".encode("latin-1")


class _Connection:
    __slots__ = (
        *(
            "_body",
            "_buffer",
            "_fresh",
            "_head",
            "_held",
            "_remote",
            "_responder",
            "_serial",
            "_server",
            "_stream",
            "_timer",
        ),
    )

    def __init__(self, server: HttpServer, made: socket.socket, serial: int, remote: str) -> None:
        self._server = server
        self._responder = server.responder
        self._serial = serial
        self._remote = remote
        self._buffer = b""
        self._fresh = True
        self._head: Request | None = None
        self._body: Sized | Chunked | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self._stream = Stream(server.responder.loop, made, self._received, self._lost)

    def _received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._fresh:
            if _PREFACE.startswith(self._buffer[: len(_PREFACE)]):
                self._upgrade()
                return
            self._fresh = False
        try:
            while self._buffer and not self._held and not self._stream.closed and self._advance():
                pass
        except Malformed as error:
            self._refuse(400, str(error))

    def _upgrade(self) -> None:
        """Go on in HTTP/2 once the preface is complete."""
        if len(self._buffer) >= len(_PREFACE):
            began, self._buffer = self._buffer, b""
            self._server.upgrade(self._responder, self._stream, self._serial, self._remote, began)

    def _lost(self, error: OSError | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _advance(self) -> bool:
        """Go on by a head or a body; False when more bytes are needed."""
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
            # Empty lines before a request are to be ignored (RFC 9112, section 2.2).
            self._buffer = self._buffer.lstrip(b"\r\n") if self._buffer[:1] in b"\r\n" else self._buffer
            if len(self._buffer) > HEAD_LIMIT:
                self._refuse(431, "a head without end")
            return False
        raw = self._buffer[:end].lstrip(b"\r\n")
        self._buffer = self._buffer[end + 4 :]
        if not raw:
            return True
        self._head = request = _read(raw, self._responder.identity.name)
        self._responder.record(request, self._serial, self._remote, lambda: spelled(_lines(raw)))
        body = stated_body(request.fields)
        self._body = None if isinstance(body, Sized) and body.empty else body
        if b"expect" in request.fields and self._body is not None:
            self._stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _finish(self, request: Request) -> None:
        self._head = None
        delay = request.delay_s
        if delay:
            self._held = True
            self._stream.hold(True)
            self._timer = self._responder.loop.call_later(delay, self._after_delay, request)
        else:
            self._answer(request)

    def _after_delay(self, request: Request) -> None:
        self._timer = None
        self._held = False
        self._answer(request)
        self._stream.hold(False)
        if self._buffer:
            self._received(b"")

    def _answer(self, request: Request) -> None:
        self._stream.write(self._server.answer(request))
        if request.last and self._stream.idle and not self._buffer:
            self._stream.close()
        elif request.last:
            self._stream.finish()

    def _refuse(self, status: int, why: str) -> None:
        self._responder.ledger.other += 1
        body = why.encode("latin-1")
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-length: {len(body)}\r\n{_CLOSE}\r\n"
        self._buffer = b""
        self._stream.write(head.encode("latin-1") + body)
        self._stream.finish()


def _read(raw: bytes, server: str) -> Request:
    """The request that a head of HTTP/1.1 is. Raises Malformed for what is none."""
    first, fields = split_head(raw)
    words = first.split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0") or not words[0] or not words[1]:
        raise Malformed("not a request line of HTTP/1.1")
    return Request(words[0], words[1], fields, server, last=closes(words[2], fields))


def _lines(raw: bytes) -> Iterator[tuple[str, str]]:
    for line in raw.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        yield name, value.strip()

"""The bytes of a request and the parsing of its answer, for each protocol but HTTP/2."""

from __future__ import annotations

import json
from typing import NamedTuple, Protocol

from .http1_framing import (
    HEAD_LIMIT,
    ChunkedBody,
    Malformed,
    SizedBody,
    UntilCloseBody,
    announced_body,
    closes,
    split_head,
)
from .plan import Batch

SAMPLE_BYTES = 200
"""Bytes kept of a foreign answer."""
_SAMPLE_FIELDS = (b"location", b"server")
"""The header fields of a foreign answer that show its origin and its redirection."""
_DEFAULT_PORT = 80
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


class Answer(NamedTuple):
    """The answer to a request. ``server`` is None if no probe gave it; ``sample`` is then its beginning.

    ``status`` is that of HTTP, or of a failed gRPC call: "grpc-7". ``reusable``: the connection may carry
    another request.
    """

    server: str | None
    port: int | None
    status: int | str | None
    failure: str | None
    reusable: bool
    sample: bytes = b""


class RequestProtocol(Protocol):
    """A protocol on a connection: ``request``, then ``feed`` until it returns the answer.

    ``feed`` may return bytes to send instead. ``end`` is called when the peer ends the connection.
    """

    def request(self, index: int, *, last: bool) -> bytes: ...

    def feed(self, data: bytes) -> Answer | bytes | None: ...

    def end(self) -> Answer | None: ...


def failed(failure: str, sample: bytes = b"") -> Answer:
    return Answer(None, None, None, failure, reusable=False, sample=sample)


def request_protocol(batch: Batch) -> RequestProtocol:
    """A protocol handler for a new connection of the batch."""
    if batch.protocol == "http":
        return Http1Protocol(batch)
    if batch.protocol == "greeting":
        return ServerFirstProtocol(batch, b"\n")
    return LineProtocol(batch, b"" if batch.protocol == "udp" else b"\n")


class Http1Protocol:
    """HTTP/1.1. The parser takes what any server may send: fields in any case, chunks, interim answers."""

    def __init__(self, batch: Batch) -> None:
        self._prefix, self._suffix = _http_request(batch)
        self._id = batch.id
        self._bodiless = batch.method == "HEAD"
        self._nonce = ""
        self._buffer = b""
        self._head: tuple[bytes, dict[bytes, bytes], bool] | None = None
        self._body: SizedBody | ChunkedBody | UntilCloseBody | None = None

    def request(self, index: int, *, last: bool) -> bytes:
        self._nonce = nonce = f"{self._id}.{index}"
        self._buffer = b""
        self._head = self._body = None
        close = b"\r\nconnection: close" if last else b""
        return b"%b%b%b%b" % (self._prefix, nonce.encode("ascii"), close, self._suffix)

    def feed(self, data: bytes) -> Answer | None:
        try:
            rest = self._read(data)
        except Malformed:
            return protocol_violation(self._buffer or data)
        if rest is None:
            return None
        return self._judge(clean=not rest)

    def end(self) -> Answer | None:
        return self._judge(clean=False) if isinstance(self._body, UntilCloseBody) else None

    def _read(self, data: bytes) -> bytes | None:
        """Parse on; returns the bytes behind the answer once it is complete. Raises Malformed."""
        while self._head is None:
            self._buffer += data
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not self._buffer.startswith(b"HTTP/1."[: len(self._buffer)]) or len(head) > HEAD_LIMIT:
                raise Malformed("not an answer of HTTP/1.1")
            if not end:
                return None
            self._begin(head)
            self._buffer = data = b""
            if self._head is None:
                self._buffer = rest
                if not rest:
                    return None
            else:
                data = rest
        return self._body.feed(data) if self._body is not None else data

    def _begin(self, head: bytes) -> None:
        first, fields = split_head(head)
        version, status = first[:8], first[9:12]
        if not status.isdigit() or len(status) < 3 or first[8:9] != b" " or first[12:13] not in (b"", b" "):
            raise Malformed("not a status line")
        code = int(status)
        if 100 <= code < 200 and code != 101:
            return
        self._head = (first, fields, closes(version, fields))
        if self._bodiless or code in (101, 204, 304):
            self._body = None
        else:
            body = announced_body(fields) or UntilCloseBody()
            self._body = None if isinstance(body, SizedBody) and body.empty else body

    def _judge(self, *, clean: bool) -> Answer:
        assert self._head is not None  # noqa: S101 - called for complete answers only
        first, fields, closing = self._head
        status = int(first[9:12])
        reusable = clean and not closing and status != 101
        body = None if self._body is None else self._body.kept
        answer = parse_response(status, fields, body, self._nonce, reusable=reusable)
        return answer if answer.server is not None else with_sample(answer, first, fields, body)


class LineProtocol:
    """The echo over TCP (lines) and UDP (datagrams): a line that names the server, then the request."""

    def __init__(self, batch: Batch, end: bytes) -> None:
        self._id = batch.id
        self._end = end
        self._suffix = (b" " + batch.body if batch.body else b"") + end
        self._sent = b""
        self._nonce = ""
        self._buffer = b""

    def request(self, index: int, *, last: bool) -> bytes:
        self._nonce = f"{self._id}.{index}"
        self._sent = self._nonce.encode("ascii") + self._suffix
        self._buffer = b""
        return self._sent

    def feed(self, data: bytes) -> Answer | bytes | None:
        self._buffer += data
        line, newline, echo = self._buffer.partition(b"\n")
        if _is_tls(self._buffer):
            return protocol_violation(self._buffer)
        identity = _parse_identity(line) if newline else None
        if (newline and identity is None) or len(self._buffer) > HEAD_LIMIT + len(self._sent):
            return protocol_violation(self._buffer)
        if identity is None:
            return None
        server, port, nonce = identity
        if nonce != self._nonce or not self._sent.startswith(echo):
            return Answer(server, port, None, "mismatch", reusable=False)
        return Answer(server, port, None, None, reusable=True) if echo == self._sent else None

    def end(self) -> Answer | None:
        return None


class ServerFirstProtocol(LineProtocol):
    """The echo of a server that speaks first: the request follows its greeting."""

    def __init__(self, batch: Batch, end: bytes) -> None:
        super().__init__(batch, end)
        self._pending = b""
        self._greeting = b""

    def request(self, index: int, *, last: bool) -> bytes:
        self._greeting = b""
        self._pending = super().request(index, last=last)
        return b""

    def feed(self, data: bytes) -> Answer | bytes | None:
        if not self._pending:
            return super().feed(data)
        self._greeting += data
        line, newline, rest = self._greeting.partition(b"\n")
        if newline and not rest and _parse_identity(line) is not None:
            request, self._pending = self._pending, b""
            return request
        return protocol_violation(self._greeting) if newline or len(line) > HEAD_LIMIT else None


def host_header(batch: Batch) -> str:
    """The value of the Host header, or :authority, of a batch's requests."""
    host = f"[{batch.host}]" if ":" in batch.host else batch.host
    return host if batch.port == _DEFAULT_PORT else f"{host}:{batch.port}"


def parse_response(
    status: int | str, fields: dict[bytes, bytes], body: bytes | None, nonce: str, *, reusable: bool
) -> Answer:
    """The answer in an HTTP message; where it has no body (None), its fields name the server."""
    identity = _identity_from_fields(fields) if body is None else _parse_identity(body)
    if identity is None:
        return Answer(None, None, status, None, reusable)
    server, port, echoed = identity
    if echoed != nonce:
        return Answer(server, port, status, "mismatch", reusable=False)
    return Answer(server, port, status, None, reusable)


def with_sample(answer: Answer, first: bytes, fields: dict[bytes, bytes], body: bytes | None) -> Answer:
    """A foreign answer, with a sample of its status line, fields and body."""
    shown = [b"%b: %b" % (name, fields[name]) for name in _SAMPLE_FIELDS if name in fields]
    text = b"\r\n".join([first, *shown]) + b"\r\n\r\n" + (body or b"")
    return answer._replace(sample=text[:SAMPLE_BYTES].rstrip())


def protocol_violation(data: bytes) -> Answer:
    """A failed answer: the data violates the protocol, or is TLS."""
    return failed("tls" if _is_tls(data) else "protocol", data[:SAMPLE_BYTES])


def _http_request(batch: Batch) -> tuple[bytes, bytes]:
    """The bytes before the nonce, and those after it and the field that may follow it."""
    names = {name.lower() for name, _ in batch.headers}
    lines = [f"{batch.method} {batch.path} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {host_header(batch)}")
    lines += [f"{name}: {value}" for name, value in batch.headers]
    body = batch.body
    if "transfer-encoding" in names:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif "content-length" not in names and (body or batch.method in _BODY_METHODS):
        lines.append(f"content-length: {len(body)}")
    lines.append("x-probe-nonce: ")
    return "\r\n".join(lines).encode("ascii"), b"\r\n\r\n" + body


def _parse_identity(body: bytes) -> tuple[str, int | None, str] | None:
    """Server, port and nonce; None if no probe wrote this."""
    try:
        found = json.loads(body)
        server, port, nonce = found["server"], found["port"], found["nonce"]
    except (ValueError, TypeError, KeyError):
        return None
    return (server, port, nonce) if isinstance(server, str) and isinstance(port, int) else None


def _identity_from_fields(fields: dict[bytes, bytes]) -> tuple[str, int | None, str] | None:
    server = fields.get(b"x-probe-server")
    if server is None:
        return None
    port = fields.get(b"x-probe-port", b"")
    nonce = fields.get(b"x-probe-nonce", b"").decode("latin-1")
    return server.decode("latin-1"), int(port) if port.isdigit() else None, nonce


def _is_tls(data: bytes) -> bool:
    """An alert or handshake record of TLS (RFC 8446, section 5.1)."""
    return data[:2] in (b"\x15\x03", b"\x16\x03")

"""What is said on a connection: the bytes of a request, and the reading of its answer, for each protocol."""

from __future__ import annotations

import json
from typing import NamedTuple, Protocol

from .framing import HEAD_LIMIT, Chunked, Malformed, Sized, UntilClose, closes, split_head, stated_body
from .plan import Batch

SAMPLE = 200
"""Bytes that are kept of what was said by none of our workloads."""
_TELLING = (b"location", b"server")
"""The fields of a foreign answer that tell where it comes from and where it leads to."""
_DEFAULT_PORT = 80
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


class Answer(NamedTuple):
    """What came back. ``server`` is None when no probe answered; ``sample`` is then what was said instead.

    ``status`` is that of HTTP, or of a gRPC call that failed: "grpc-7".
    """

    server: str | None
    port: int | None
    status: int | str | None
    failure: str | None
    keep: bool
    sample: bytes = b""


class Dialogue(Protocol):
    """A connection's talk: ``request``, then ``feed`` until it gives the answer; ``end`` if the peer goes.

    The bytes that ``feed`` may give instead are to be said then.
    """

    def request(self, index: int, *, last: bool) -> bytes: ...

    def feed(self, data: bytes) -> Answer | bytes | None: ...

    def end(self) -> Answer | None: ...


def failed(failure: str, sample: bytes = b"") -> Answer:
    return Answer(None, None, None, failure, keep=False, sample=sample)


def dialogue(batch: Batch) -> Dialogue:
    """A fresh dialogue of the batch's protocol."""
    if batch.protocol == "http":
        return HttpDialogue(batch)
    if batch.protocol == "greeting":
        return GreetedDialogue(batch, b"\n")
    return LineDialogue(batch, b"" if batch.protocol == "udp" else b"\n")


class HttpDialogue:
    """HTTP/1.1. The reader takes what any server may send: fields in any case, chunks, interim answers."""

    def __init__(self, batch: Batch) -> None:
        self._prefix, self._suffix = _http_request(batch)
        self._id = batch.id
        self._bodiless = batch.method == "HEAD"
        self._nonce = ""
        self._buffer = b""
        self._head: tuple[bytes, dict[bytes, bytes], bool] | None = None
        self._body: Sized | Chunked | UntilClose | None = None

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
            return strange(self._buffer or data)
        if rest is None:
            return None
        return self._judge(clean=not rest)

    def end(self) -> Answer | None:
        return self._judge(clean=False) if isinstance(self._body, UntilClose) else None

    def _read(self, data: bytes) -> bytes | None:
        """Go on reading; the bytes behind the answer once it is complete. Raises Malformed."""
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
            body = stated_body(fields) or UntilClose()
            self._body = None if isinstance(body, Sized) and body.empty else body

    def _judge(self, *, clean: bool) -> Answer:
        assert self._head is not None  # noqa: S101 - only complete answers are judged
        first, fields, closing = self._head
        status = int(first[9:12])
        keep = clean and not closing and status != 101
        body = None if self._body is None else self._body.kept
        answer = judged(status, fields, body, self._nonce, keep=keep)
        return answer if answer.server is not None else quoting(answer, first, fields, body)


class LineDialogue:
    """The echo over TCP (lines) and UDP (datagrams): who answered, then what was sent."""

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
            return strange(self._buffer)
        said = _said(line) if newline else None
        if (newline and said is None) or len(self._buffer) > HEAD_LIMIT + len(self._sent):
            return strange(self._buffer)
        if said is None:
            return None
        server, port, nonce = said
        if nonce != self._nonce or not self._sent.startswith(echo):
            return Answer(server, port, None, "mismatch", keep=False)
        return Answer(server, port, None, None, keep=True) if echo == self._sent else None

    def end(self) -> Answer | None:
        return None


class GreetedDialogue(LineDialogue):
    """The echo of a server that speaks first: nothing is sent before its greeting is there."""

    def __init__(self, batch: Batch, end: bytes) -> None:
        super().__init__(batch, end)
        self._unsaid = b""
        self._greeting = b""

    def request(self, index: int, *, last: bool) -> bytes:
        self._greeting = b""
        self._unsaid = super().request(index, last=last)
        return b""

    def feed(self, data: bytes) -> Answer | bytes | None:
        if not self._unsaid:
            return super().feed(data)
        self._greeting += data
        line, newline, rest = self._greeting.partition(b"\n")
        if newline and not rest and _said(line) is not None:
            line, self._unsaid = self._unsaid, b""
            return line
        return strange(self._greeting) if newline or len(line) > HEAD_LIMIT else None


def host_of(batch: Batch) -> str:
    """The host that the requests of a batch name."""
    host = f"[{batch.host}]" if ":" in batch.host else batch.host
    return host if batch.port == _DEFAULT_PORT else f"{host}:{batch.port}"


def judged(
    status: int | str, fields: dict[bytes, bytes], body: bytes | None, nonce: str, *, keep: bool
) -> Answer:
    """The answer that a message of HTTP is; where it has no body (None), its fields say who gave it."""
    said = _said_in_fields(fields) if body is None else _said(body)
    if said is None:
        return Answer(None, None, status, None, keep)
    server, port, echoed = said
    if echoed != nonce:
        return Answer(server, port, status, "mismatch", keep=False)
    return Answer(server, port, status, None, keep)


def quoting(answer: Answer, first: bytes, fields: dict[bytes, bytes], body: bytes | None) -> Answer:
    """The answer of somebody else, with the beginning of what was said."""
    told = [b"%b: %b" % (name, fields[name]) for name in _TELLING if name in fields]
    said = b"\r\n".join([first, *told]) + b"\r\n\r\n" + (body or b"")
    return answer._replace(sample=said[:SAMPLE].rstrip())


def strange(data: bytes) -> Answer:
    """What came is not of the protocol."""
    return failed("tls" if _is_tls(data) else "protocol", data[:SAMPLE])


def _http_request(batch: Batch) -> tuple[bytes, bytes]:
    """What stands before the nonce, and what after it (and after the field that may follow it)."""
    names = {name.lower() for name, _ in batch.headers}
    lines = [f"{batch.method} {batch.path} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {host_of(batch)}")
    lines += [f"{name}: {value}" for name, value in batch.headers]
    body = batch.body
    if "transfer-encoding" in names:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif "content-length" not in names and (body or batch.method in _BODY_METHODS):
        lines.append(f"content-length: {len(body)}")
    lines.append("x-probe-nonce: ")
    return "\r\n".join(lines).encode("ascii"), b"\r\n\r\n" + body


def _said(body: bytes) -> tuple[str, int | None, str] | None:
    """Server, port and nonce, if these are the words of a probe."""
    try:
        found = json.loads(body)
        server, port, nonce = found["server"], found["port"], found["nonce"]
    except (ValueError, TypeError, KeyError):
        return None
    return (server, port, nonce) if isinstance(server, str) and isinstance(port, int) else None


def _said_in_fields(fields: dict[bytes, bytes]) -> tuple[str, int | None, str] | None:
    server = fields.get(b"x-probe-server")
    if server is None:
        return None
    port = fields.get(b"x-probe-port", b"")
    nonce = fields.get(b"x-probe-nonce", b"").decode("latin-1")
    return server.decode("latin-1"), int(port) if port.isdigit() else None, nonce


def _is_tls(data: bytes) -> bool:
    """An alert or handshake record of TLS (RFC 8446, section 5.1)."""
    return data[:2] in (b"\x15\x03", b"\x16\x03")

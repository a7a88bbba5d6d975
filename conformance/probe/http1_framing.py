"""Where an HTTP/1.1 message ends (RFC 9112, sections 2, 5, 6 and 7)."""

from __future__ import annotations

HEAD_LIMIT = 1 << 16
BODY_LIMIT = 1 << 16
"""Bytes kept of a body; no answer of a probe is longer."""


class Malformed(ValueError):
    """The data violates the protocol, HTTP/1.1 or HTTP/2."""


def split_head(head: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The start line, and the fields by lower-case name; repeated fields are joined by a comma.

    Raises Malformed for a line that is not a field.
    """
    first, *lines = head.split(b"\r\n")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise Malformed("a header line without a name")
        name = name.lower()
        value = value.strip()
        fields[name] = fields[name] + b", " + value if name in fields else value
    return first, fields


class SizedBody:
    """A body of known length. ``feed`` returns None until it is complete, then the bytes behind it."""

    __slots__ = ("_left", "empty", "kept")

    def __init__(self, length: int) -> None:
        self._left = length
        self.empty = not length
        self.kept = b""

    def feed(self, data: bytes) -> bytes | None:
        own, rest = data[: self._left], data[self._left :]
        self._left -= len(own)
        self.kept += own[: BODY_LIMIT - len(self.kept)]
        return None if self._left else rest


class ChunkedBody:
    """A chunked body with its trailers. ``feed`` as for SizedBody; raises Malformed for an invalid chunk."""

    __slots__ = ("_buffer", "_ended", "_left", "kept")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._ended = False
        self.kept = b""

    def feed(self, data: bytes) -> bytes | None:
        self._buffer += data
        while True:
            if self._left:
                if not self._take():
                    return None
                continue
            line, newline, rest = self._buffer.partition(b"\r\n")
            if not newline:
                if len(line) > HEAD_LIMIT:
                    raise Malformed("an endless line in a chunked body")
                return None
            self._buffer = rest
            if not self._ended:
                self._begin(line)
            elif not line:
                return rest

    def _begin(self, line: bytes) -> None:
        size = line.partition(b";")[0].strip()
        if not size or size.strip(b"0123456789abcdefABCDEF"):
            raise Malformed("a chunk without a size")
        length = int(size, 16)
        self._ended = length == 0
        # With the line end behind the chunk.
        self._left = length + 2 if length else 0

    def _take(self) -> bool:
        own = self._buffer[: self._left]
        self._buffer = self._buffer[self._left :]
        self._left -= len(own)
        # The last two bytes are the line end, not body.
        body = own[: max(0, len(own) - max(0, 2 - self._left))]
        self.kept += body[: BODY_LIMIT - len(self.kept)]
        return not self._left


class UntilCloseBody:
    """A body that ends with the connection."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept = b""

    def feed(self, data: bytes) -> bytes | None:
        self.kept += data[: BODY_LIMIT - len(self.kept)]
        return None


def announced_body(fields: dict[bytes, bytes]) -> SizedBody | ChunkedBody | None:
    """The body that the fields announce, or None. Raises Malformed for an invalid length or coding."""
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower().rpartition(b",")[2].strip() != b"chunked":
            raise Malformed("an unknown transfer coding")
        return ChunkedBody()
    length = fields.get(b"content-length")
    if length is None:
        return None
    if not length.isdigit() or len(length) > 18:
        raise Malformed("a content-length that is no number")
    return SizedBody(int(length))


def closes(version: bytes, fields: dict[bytes, bytes]) -> bool:
    """Whether the sender of this head closes the connection after the message."""
    connection = fields.get(b"connection", b"").lower()
    return b"keep-alive" not in connection if version == b"HTTP/1.0" else b"close" in connection

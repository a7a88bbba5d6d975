"""What both ends of an HTTP/2 connection need (RFC 9113), and the framing of gRPC's messages."""

from __future__ import annotations

from h2.connection import H2Connection

from .framing import Malformed

FRAME_LIMIT = 1 << 14
"""Octets of a frame, of which we allow no peer more than the default (section 4.2)."""
_HEAD = 9
_SETTINGS, _GOAWAY = 4, 7
_GRPC_HEAD = 5


class Frames:
    """Cuts what comes in into whole frames, and takes out those that announce the end of the connection.

    To `h2` a connection is over with its GOAWAY, whereas the peer still answers the streams that it has begun
    (section 6.8), as a proxy does that is given another configuration.
    """

    __slots__ = ("_begun", "_rest", "last_stream")

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False
        self.last_stream: int | None = None
        """The last stream that the peer will answer, once it has said so."""

    def feed(self, data: bytes) -> bytes:
        """The whole frames that there are. Raises Malformed for what is not HTTP/2."""
        data = self._rest + data if self._rest else data
        taken: list[bytes] = []
        start = end = 0
        while len(data) - end > 3:
            length = int.from_bytes(data[end : end + 3], "big")
            kind = data[end + 3]
            if length > FRAME_LIMIT or (not self._begun and kind != _SETTINGS):
                raise Malformed("not HTTP/2")
            self._begun = True
            if len(data) - end < _HEAD + length:
                break
            if kind == _GOAWAY and length >= 8:
                self.last_stream = int.from_bytes(data[end + _HEAD : end + _HEAD + 4], "big") & 0x7FFFFFFF
                taken.append(data[start:end])
                start = end + _HEAD + length
            end += _HEAD + length
        taken.append(data[start:end])
        self._rest = data[end:]
        return b"".join(taken)


class Outbox:
    """Sends bodies, no faster than the peer's windows allow (section 5.2)."""

    __slots__ = ("_connection", "_left")

    def __init__(self, connection: H2Connection) -> None:
        self._connection = connection
        self._left: dict[int, tuple[bytes, list[tuple[bytes, bytes]]]] = {}

    def send(self, stream: int, body: bytes, trailers: list[tuple[bytes, bytes]]) -> None:
        """Send a body and end the stream behind it, or behind its trailers."""
        connection = self._connection
        room = connection.local_flow_control_window(stream)
        while body and room > 0:
            part = body[: min(room, connection.max_outbound_frame_size)]
            body = body[len(part) :]
            room -= len(part)
            connection.send_data(stream, part, end_stream=not body and not trailers)
        if body:
            self._left[stream] = body, trailers
        elif trailers:
            connection.send_headers(stream, trailers, end_stream=True)

    def resume(self) -> None:
        """Go on with what waited for the peer."""
        if self._left:
            waiting, self._left = self._left, {}
            for stream, (body, trailers) in waiting.items():
                self.send(stream, body, trailers)

    def forget(self, stream: int) -> None:
        """Send no more on a stream that has been reset."""
        self._left.pop(stream, None)


def grpc_message(content: bytes) -> bytes:
    """A message with its length before it, not compressed."""
    return b"\0" + len(content).to_bytes(4, "big") + content


def content_of(messages: bytes) -> bytes:
    """The content of the first message. Raises Malformed where none is complete."""
    length = int.from_bytes(messages[1:_GRPC_HEAD], "big")
    content = messages[_GRPC_HEAD : _GRPC_HEAD + length]
    if len(messages) < _GRPC_HEAD or len(content) < length:
        raise Malformed("a message that is cut short")
    return content

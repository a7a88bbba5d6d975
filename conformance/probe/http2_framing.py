"""Frames and bodies for both ends of an HTTP/2 connection (RFC 9113), and the framing of gRPC messages."""

from __future__ import annotations

from h2.connection import H2Connection

from .http1_framing import Malformed

FRAME_LIMIT = 1 << 14
"""Maximum octets of a peer's frame: the default (section 4.2)."""
_FRAME_HEADER = 9
_SETTINGS, _GOAWAY = 4, 7
_GRPC_HEADER = 5


class FrameReader:
    """Cuts incoming data into whole frames and removes GOAWAY frames.

    `h2` ends a connection at its GOAWAY, whereas the peer still answers the streams begun before it
    (section 6.8), as a reconfigured proxy does.
    """

    __slots__ = ("_begun", "_rest", "last_stream")

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False
        self.last_stream: int | None = None
        """The last stream that the peer will answer, from its GOAWAY."""

    def feed(self, data: bytes) -> bytes:
        """The complete frames so far. Raises Malformed for data that is not HTTP/2."""
        data = self._rest + data if self._rest else data
        taken: list[bytes] = []
        start = end = 0
        while len(data) - end > 3:
            length = int.from_bytes(data[end : end + 3], "big")
            kind = data[end + 3]
            if length > FRAME_LIMIT or (not self._begun and kind != _SETTINGS):
                raise Malformed("not HTTP/2")
            self._begun = True
            if len(data) - end < _FRAME_HEADER + length:
                break
            if kind == _GOAWAY and length >= 8:
                self.last_stream = (
                    int.from_bytes(data[end + _FRAME_HEADER : end + _FRAME_HEADER + 4], "big") & 0x7FFFFFFF
                )
                taken.append(data[start:end])
                start = end + _FRAME_HEADER + length
            end += _FRAME_HEADER + length
        taken.append(data[start:end])
        self._rest = data[end:]
        return b"".join(taken)


class Outbox:
    """Sends bodies within the peer's flow-control windows (section 5.2)."""

    __slots__ = ("_connection", "_left")

    def __init__(self, connection: H2Connection) -> None:
        self._connection = connection
        self._left: dict[int, tuple[bytes, list[tuple[bytes, bytes]]]] = {}

    def send(self, stream: int, body: bytes, trailers: list[tuple[bytes, bytes]]) -> None:
        """Send a body, then its trailers if any, and end the stream."""
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
        """Send what the peer's windows held back."""
        if self._left:
            waiting, self._left = self._left, {}
            for stream, (body, trailers) in waiting.items():
                self.send(stream, body, trailers)

    def forget(self, stream: int) -> None:
        """Drop the unsent data of a reset stream."""
        self._left.pop(stream, None)


def grpc_message(content: bytes) -> bytes:
    """An uncompressed message, prefixed by its length."""
    return b"\0" + len(content).to_bytes(4, "big") + content


def grpc_content(messages: bytes) -> bytes:
    """The content of the first message. Raises Malformed if it is incomplete."""
    length = int.from_bytes(messages[1:_GRPC_HEADER], "big")
    content = messages[_GRPC_HEADER : _GRPC_HEADER + length]
    if len(messages) < _GRPC_HEADER or len(content) < length:
        raise Malformed("a message that is cut short")
    return content

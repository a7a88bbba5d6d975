"""Sends requests over HTTP/2 in cleartext with prior knowledge (RFC 9113, section 3.3), and calls of gRPC.

Sources for gRPC: "gRPC over HTTP2" in the documentation of gRPC. A message is opaque here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from .dialogue import SAMPLE, Answer, failed, host_of, judged, quoting, strange
from .framing import KEPT, Malformed
from .http2 import FRAME_LIMIT, Frames, Outbox, content_of, grpc_message
from .lane import Lane, Sending, broken, unresolved
from .plan import Batch
from .resolve import Nowhere, connect
from .stream import Stream

Fields = list[tuple[bytes, bytes]]
_CONFIGURATION = H2Configuration(
    client_side=True,
    header_encoding=None,
    # What a batch asks for is to be sent as it is, also where it is wrong.
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)
_SETTINGS = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.MAX_FRAME_SIZE: FRAME_LIMIT,
    SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20,
}
_WINDOW = 1 << 24
_OF_HTTP1 = frozenset(
    {"connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)


def http2_lanes(run: Sending, count: int) -> Sequence[Lane]:
    """Lanes with a connection each, or one for all of them."""
    request = _Request(run.batch)
    shared = _Road(run, request) if run.batch.single else None
    return [_Http2Lane(run, shared or _Road(run, request)) for _ in range(count)]


class _Http2Lane(Lane):
    __slots__ = ("_connection", "_road")

    def __init__(self, run: Sending, road: _Road) -> None:
        super().__init__(run)
        self._road = road
        self._connection: _Connection | None = None

    def give_up(self) -> None:
        if self._connection is not None:
            self._connection.forget(self)
        super().give_up()

    def close(self) -> None:
        self._road.close()

    def answered(self, answer: Answer) -> None:
        self._connection = None
        self._finish(answer)

    def _transmit(self, index: int) -> Answer | None:
        if isinstance(self._run.target, Nowhere):
            return unresolved(self._run.target)
        try:
            self._connection = self._road.connection()
        except OSError as error:
            return broken(error)
        self._serial = self._connection.serial
        self._connection.send(self, index)
        return None


class _Road:
    """Knows the connection for the next request: the last one made, while it may be used."""

    __slots__ = ("_current", "_request", "_run")

    def __init__(self, run: Sending, request: _Request) -> None:
        self._run = run
        self._request = request
        self._current: _Connection | None = None

    def connection(self) -> _Connection:
        """Raises OSError if none can be made."""
        if self._current is None or not self._current.open:
            self._current = None
            self._current = _Connection(self._run, self._request)
        return self._current

    def close(self) -> None:
        if self._current is not None:
            self._current.close()


class _Exchange:
    """One request and what has come back of its answer."""

    __slots__ = ("body", "fields", "lane", "nonce", "status", "trailers")

    def __init__(self, lane: _Http2Lane, nonce: str) -> None:
        self.lane = lane
        self.nonce = nonce
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.trailers: dict[bytes, bytes] = {}
        self.body: bytes | None = None

    def begin(self, fields: Fields) -> None:
        self.fields = dict(fields)
        status = self.fields.get(b":status", b"")
        self.status = int(status) if status.isdigit() else 0

    def add(self, data: bytes) -> None:
        kept = self.body or b""
        self.body = kept + data[: KEPT - len(kept)]

    def answer(self, *, grpc: bool) -> Answer:
        if not self.status:
            return strange(self.body or b"")
        if not grpc or self.status != 200:
            answer = judged(self.status, self.fields, self.body, self.nonce, keep=True)
        else:
            answer = self._answer_of_grpc()
        return answer if answer.server is not None or answer.sample else self._quoted(answer)

    def _quoted(self, answer: Answer) -> Answer:
        told = [b"HTTP/2 %d" % self.status]
        for name in (b"grpc-status", b"grpc-message"):
            value = self.trailers.get(name) or self.fields.get(name)
            told += [b"%b: %b" % (name, value)] if value else []
        return quoting(answer, b"\r\n".join(told), self.fields, self.body)

    def _answer_of_grpc(self) -> Answer:
        # Where nothing else is said, both stand in the one block of header fields.
        code = self.trailers.get(b"grpc-status") or self.fields.get(b"grpc-status")
        try:
            content = content_of(self.body) if self.body else None
        except Malformed:
            code = None
        if code is None or not code.isdigit():
            return failed("protocol")._replace(sample=(self.body or b"")[:SAMPLE], keep=True)
        status: int | str = 200 if int(code) == 0 else f"grpc-{int(code)}"
        return judged(status, self.fields, content, self.nonce, keep=True)


class _Connection:
    """One connection. It is ``open`` while further requests may go over it."""

    def __init__(self, run: Sending, request: _Request) -> None:
        assert not isinstance(run.target, Nowhere)  # noqa: S101 - nothing connects to such a name
        self.open = True
        self.serial = run.connection()
        self._batch = run.batch
        self._request = request
        self._used = 0
        self._exchanges: dict[int, _Exchange] = {}
        self._waiting: deque[tuple[_Http2Lane, int]] = deque()
        self._reading = False
        self._frames = Frames()
        self._h2 = H2Connection(_CONFIGURATION)
        self._h2.local_settings = Settings(client=True, initial_values=_SETTINGS)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._outbox = Outbox(self._h2)
        made = connect(run.target, datagrams=False)
        self._stream = Stream(run.loop, made, self._received, self._lost)

    def send(self, lane: _Http2Lane, index: int) -> None:
        """Send a request, now or when the server admits another stream."""
        self._used += 1
        if self._used == self._batch.per_connection:
            self.open = False
        self._waiting.append((lane, index))
        self._begin()
        self._flush()

    def forget(self, lane: _Http2Lane) -> None:
        """Give up what a lane has under way; a connection that took too long gets nothing new."""
        self.open = False
        self._waiting = deque(one for one in self._waiting if one[0] is not lane)
        for number, exchange in list(self._exchanges.items()):
            if exchange.lane is lane:
                del self._exchanges[number]
                self._outbox.forget(number)
                self._h2.reset_stream(number, ErrorCodes.CANCEL)
        self._flush()
        self._close_if_over()

    def close(self) -> None:
        self.open = False
        self._stream.close()

    def _begin(self) -> None:
        most = self._h2.remote_settings.max_concurrent_streams
        while self._waiting and len(self._exchanges) < most and not self._stream.closed:
            lane, index = self._waiting.popleft()
            number = self._h2.get_next_available_stream_id()
            exchange = self._exchanges[number] = _Exchange(lane, f"{self._batch.id}.{index}")
            body = self._request.body
            self._h2.send_headers(number, self._request.head(exchange.nonce), end_stream=not body)
            if body:
                self._outbox.send(number, body, [])

    def _flush(self) -> None:
        # While events are told, their lanes go on; what they send leaves in one write.
        if not self._reading and not self._stream.closed:
            data = self._h2.data_to_send()
            if data:
                self._stream.write(data)

    def _received(self, data: bytes) -> None:
        self._reading = True
        try:
            frames = self._frames.feed(data)
            if self._frames.last_stream is not None:
                # Lanes whose answers came together with it are to go on over another connection.
                self.open = False
            for event in self._h2.receive_data(frames):
                self._hear(event)
            self._outbox.resume()
            self._begin()
            if self._frames.last_stream is not None:
                self._leave(self._frames.last_stream)
        except (Malformed, ProtocolError):
            self._fail(strange(data))
        finally:
            self._reading = False
        self._flush()
        self._close_if_over()

    def _hear(self, event: events.Event) -> None:
        number = getattr(event, "stream_id", None)
        exchange = self._exchanges.get(number) if number else None
        if isinstance(event, events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if exchange is None or number is None:
            return
        if isinstance(event, events.ResponseReceived):
            exchange.begin(event.headers)
        elif isinstance(event, events.DataReceived):
            exchange.add(event.data)
        elif isinstance(event, events.TrailersReceived):
            exchange.trailers = dict(event.headers)
        elif isinstance(event, events.StreamEnded):
            self._settle(number, exchange.answer(grpc=self._batch.protocol == "grpc"))
        elif isinstance(event, events.StreamReset):
            self._settle(number, failed("reset"))

    def _settle(self, number: int, answer: Answer) -> None:
        self._outbox.forget(number)
        if not answer.keep:
            self.open = False
        self._exchanges.pop(number).lane.answered(answer)

    def _leave(self, last: int) -> None:
        """The server answers no stream behind this one."""
        self.open = False
        for number in [number for number in self._exchanges if number > last]:
            self._settle(number, failed("closed"))
        while self._waiting:
            self._waiting.popleft()[0].answered(failed("closed"))

    def _fail(self, answer: Answer) -> None:
        self.open = False
        for number in list(self._exchanges):
            self._settle(number, answer)
        while self._waiting:
            self._waiting.popleft()[0].answered(answer)

    def _lost(self, error: OSError | None) -> None:
        self._fail(broken(error))

    def _close_if_over(self) -> None:
        if not self.open and not self._exchanges and not self._waiting:
            self._stream.close()


class _Request:
    """What is sent for each request of a batch."""

    __slots__ = ("_fields", "body")

    def __init__(self, batch: Batch) -> None:
        grpc = batch.protocol == "grpc"
        given: list[tuple[str, str]] = [(name.lower(), value) for name, value in batch.headers]
        host = next((value for name, value in given if name == "host"), host_of(batch))
        fields = [(":method", batch.method), (":scheme", "http"), (":path", batch.path), (":authority", host)]
        if grpc:
            fields += [("content-type", "application/grpc"), ("te", "trailers")]
        fields += [(name, value) for name, value in given if name not in _OF_HTTP1]
        self._fields: Fields = [(name.encode(), value.encode()) for name, value in fields]
        self.body = grpc_message(batch.body) if grpc else batch.body

    def head(self, nonce: str) -> Fields:
        return [*self._fields, (b"x-probe-nonce", nonce.encode("ascii"))]

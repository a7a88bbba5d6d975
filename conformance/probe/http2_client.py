"""Sends requests over cleartext HTTP/2 with prior knowledge (RFC 9113, section 3.3), and gRPC calls.

Source for gRPC: "gRPC over HTTP2" in the documentation of gRPC. Messages are opaque here.
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

from .http1_framing import BODY_LIMIT, Malformed
from .http2_framing import FRAME_LIMIT, FrameReader, Outbox, grpc_content, grpc_message
from .plan import Batch
from .request_protocols import (
    SAMPLE_BYTES,
    Answer,
    failed,
    host_header,
    parse_response,
    protocol_violation,
    with_sample,
)
from .resolve import Unresolved, connect
from .transport import Transport
from .worker import BatchContext, Worker, connection_failure, resolution_failure

Fields = list[tuple[bytes, bytes]]
_CONFIGURATION = H2Configuration(
    client_side=True,
    header_encoding=None,
    # The headers of a batch are sent unchanged, even if invalid.
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)
_SETTINGS = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.MAX_FRAME_SIZE: FRAME_LIMIT,
    SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20,
}
_WINDOW = 1 << 24
_HTTP1_ONLY = frozenset(
    {"connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)


def http2_workers(run: BatchContext, count: int) -> Sequence[Worker]:
    """Workers with a connection each, or a shared one."""
    request = _Request(run.batch)
    shared = _ConnectionPool(run, request) if run.batch.single_connection else None
    return [_Http2Worker(run, shared or _ConnectionPool(run, request)) for _ in range(count)]


class _Http2Worker(Worker):
    __slots__ = ("_connection", "_pool")

    def __init__(self, run: BatchContext, pool: _ConnectionPool) -> None:
        super().__init__(run)
        self._pool = pool
        self._connection: _Connection | None = None

    def time_out(self) -> None:
        if self._connection is not None:
            self._connection.forget(self)
        super().time_out()

    def close(self) -> None:
        self._pool.close()

    def answered(self, answer: Answer) -> None:
        self._connection = None
        self._finish(answer)

    def _transmit(self, index: int) -> Answer | None:
        if isinstance(self._run.target, Unresolved):
            return resolution_failure(self._run.target)
        try:
            self._connection = self._pool.connection()
        except OSError as error:
            return connection_failure(error)
        self._serial = self._connection.serial
        self._connection.send(self, index)
        return None


class _ConnectionPool:
    """Holds the connection for the next request: the latest, while it is open."""

    __slots__ = ("_current", "_request", "_run")

    def __init__(self, run: BatchContext, request: _Request) -> None:
        self._run = run
        self._request = request
        self._current: _Connection | None = None

    def connection(self) -> _Connection:
        """The open connection, or a new one. Raises OSError if that fails."""
        if self._current is None or not self._current.open:
            self._current = None
            self._current = _Connection(self._run, self._request)
        return self._current

    def close(self) -> None:
        if self._current is not None:
            self._current.close()


class _Http2Stream:
    """One request and its answer so far."""

    __slots__ = ("body", "fields", "nonce", "status", "trailers", "worker")

    def __init__(self, worker: _Http2Worker, nonce: str) -> None:
        self.worker = worker
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
        self.body = kept + data[: BODY_LIMIT - len(kept)]

    def answer(self, *, grpc: bool) -> Answer:
        if not self.status:
            return protocol_violation(self.body or b"")
        if not grpc or self.status != 200:
            answer = parse_response(self.status, self.fields, self.body, self.nonce, reusable=True)
        else:
            answer = self._grpc_answer()
        return answer if answer.server is not None or answer.sample else self._with_sample(answer)

    def _with_sample(self, answer: Answer) -> Answer:
        lines = [b"HTTP/2 %d" % self.status]
        for name in (b"grpc-status", b"grpc-message"):
            value = self.trailers.get(name) or self.fields.get(name)
            lines += [b"%b: %b" % (name, value)] if value else []
        return with_sample(answer, b"\r\n".join(lines), self.fields, self.body)

    def _grpc_answer(self) -> Answer:
        # A trailers-only response has a single block of header fields.
        code = self.trailers.get(b"grpc-status") or self.fields.get(b"grpc-status")
        try:
            content = grpc_content(self.body) if self.body else None
        except Malformed:
            code = None
        if code is None or not code.isdigit():
            return failed("protocol")._replace(sample=(self.body or b"")[:SAMPLE_BYTES], reusable=True)
        status: int | str = 200 if int(code) == 0 else f"grpc-{int(code)}"
        return parse_response(status, self.fields, content, self.nonce, reusable=True)


class _Connection:
    """One connection. It is ``open`` while it may carry further requests."""

    def __init__(self, run: BatchContext, request: _Request) -> None:
        assert not isinstance(run.target, Unresolved)  # noqa: S101 - callers have checked
        self.open = True
        self.serial = run.new_connection_serial()
        self._batch = run.batch
        self._request = request
        self._used = 0
        self._streams: dict[int, _Http2Stream] = {}
        self._waiting: deque[tuple[_Http2Worker, int]] = deque()
        self._reading = False
        self._frames = FrameReader()
        self._h2 = H2Connection(_CONFIGURATION)
        self._h2.local_settings = Settings(client=True, initial_values=_SETTINGS)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._outbox = Outbox(self._h2)
        sock = connect(run.target, datagrams=False)
        self._transport = Transport(run.loop, sock, self._received, self._lost)

    def send(self, worker: _Http2Worker, index: int) -> None:
        """Send a request, now or when the server allows another stream."""
        self._used += 1
        if self._used == self._batch.per_connection:
            self.open = False
        self._waiting.append((worker, index))
        self._begin()
        self._flush()

    def forget(self, worker: _Http2Worker) -> None:
        """Cancel the request of a worker; a connection that timed out gets no further requests."""
        self.open = False
        self._waiting = deque(item for item in self._waiting if item[0] is not worker)
        for number, stream in list(self._streams.items()):
            if stream.worker is worker:
                del self._streams[number]
                self._outbox.forget(number)
                self._h2.reset_stream(number, ErrorCodes.CANCEL)
        self._flush()
        self._close_if_over()

    def close(self) -> None:
        self.open = False
        self._transport.close()

    def _begin(self) -> None:
        most = self._h2.remote_settings.max_concurrent_streams
        while self._waiting and len(self._streams) < most and not self._transport.closed:
            worker, index = self._waiting.popleft()
            number = self._h2.get_next_available_stream_id()
            stream = self._streams[number] = _Http2Stream(worker, f"{self._batch.id}.{index}")
            body = self._request.body
            self._h2.send_headers(number, self._request.head(stream.nonce), end_stream=not body)
            if body:
                self._outbox.send(number, body, [])

    def _flush(self) -> None:
        # Workers send on while events are handled; their data leaves in one write.
        if not self._reading and not self._transport.closed:
            data = self._h2.data_to_send()
            if data:
                self._transport.write(data)

    def _received(self, data: bytes) -> None:
        self._reading = True
        try:
            frames = self._frames.feed(data)
            if self._frames.last_stream is not None:
                # Workers whose answers came with the GOAWAY continue on another connection.
                self.open = False
            for event in self._h2.receive_data(frames):
                self._on_event(event)
            self._outbox.resume()
            self._begin()
            if self._frames.last_stream is not None:
                self._on_goaway(self._frames.last_stream)
        except (Malformed, ProtocolError):
            self._fail(protocol_violation(data))
        finally:
            self._reading = False
        self._flush()
        self._close_if_over()

    def _on_event(self, event: events.Event) -> None:
        number = getattr(event, "stream_id", None)
        stream = self._streams.get(number) if number else None
        if isinstance(event, events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if stream is None or number is None:
            return
        if isinstance(event, events.ResponseReceived):
            stream.begin(event.headers)
        elif isinstance(event, events.DataReceived):
            stream.add(event.data)
        elif isinstance(event, events.TrailersReceived):
            stream.trailers = dict(event.headers)
        elif isinstance(event, events.StreamEnded):
            self._complete_stream(number, stream.answer(grpc=self._batch.protocol == "grpc"))
        elif isinstance(event, events.StreamReset):
            self._complete_stream(number, failed("reset"))

    def _complete_stream(self, number: int, answer: Answer) -> None:
        self._outbox.forget(number)
        if not answer.reusable:
            self.open = False
        self._streams.pop(number).worker.answered(answer)

    def _on_goaway(self, last: int) -> None:
        """The server answers no stream after ``last``."""
        self.open = False
        for number in [number for number in self._streams if number > last]:
            self._complete_stream(number, failed("closed"))
        while self._waiting:
            self._waiting.popleft()[0].answered(failed("closed"))

    def _fail(self, answer: Answer) -> None:
        self.open = False
        for number in list(self._streams):
            self._complete_stream(number, answer)
        while self._waiting:
            self._waiting.popleft()[0].answered(answer)

    def _lost(self, error: OSError | None) -> None:
        self._fail(connection_failure(error))

    def _close_if_over(self) -> None:
        if not self.open and not self._streams and not self._waiting:
            self._transport.close()


class _Request:
    """The header fields and body of a batch's requests."""

    __slots__ = ("_fields", "body")

    def __init__(self, batch: Batch) -> None:
        grpc = batch.protocol == "grpc"
        given: list[tuple[str, str]] = [(name.lower(), value) for name, value in batch.headers]
        host = next((value for name, value in given if name == "host"), host_header(batch))
        fields = [(":method", batch.method), (":scheme", "http"), (":path", batch.path), (":authority", host)]
        if grpc:
            fields += [("content-type", "application/grpc"), ("te", "trailers")]
        fields += [(name, value) for name, value in given if name not in _HTTP1_ONLY]
        self._fields: Fields = [(name.encode(), value.encode()) for name, value in fields]
        self.body = grpc_message(batch.body) if grpc else batch.body

    def head(self, nonce: str) -> Fields:
        return [*self._fields, (b"x-probe-nonce", nonce.encode("ascii"))]

"""Serves HTTP/2 on a connection: answers as over HTTP/1.1, and gRPC calls with gRPC's framing."""

from __future__ import annotations

import asyncio

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from .http1_framing import Malformed
from .http2_framing import FRAME_LIMIT, Outbox, grpc_message
from .plan import MAX_CONCURRENCY
from .responder import BODILESS, Request, Responder, raw_headers
from .transport import Transport

Fields = list[tuple[bytes, bytes]]
_CONFIGURATION = H2Configuration(
    client_side=False,
    header_encoding=None,
    # The ledger records headers as they arrived.
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)
_SETTINGS = {
    SettingCodes.MAX_FRAME_SIZE: FRAME_LIMIT,
    SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20,
    # A client may have all its requests in flight on a single connection.
    SettingCodes.MAX_CONCURRENT_STREAMS: 2 * MAX_CONCURRENCY,
}
_WINDOW = 1 << 24
_UNKNOWN = b"2"
"""The grpc-status of a call that is instructed to fail."""
_RECORDED_SEPARATELY = (b":method", b":path")


class Http2Connection:
    """One connection, from its preface on."""

    def __init__(self, responder: Responder, transport: Transport, serial: int, remote: str) -> None:
        self._responder = responder
        self._transport = transport
        self._serial = serial
        self._remote = remote
        self._requests: dict[int, Request] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._h2 = H2Connection(_CONFIGURATION)
        self._h2.local_settings = Settings(client=False, initial_values=_SETTINGS)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._outbox = Outbox(self._h2)
        identity_headers = (
            (b"x-probe-server", responder.identity.name.encode()),
            (b"x-probe-port", str(responder.port).encode()),
        )
        self._identity_headers: Fields = list(identity_headers)
        transport.set_callbacks(self.received, self._lost)

    def received(self, data: bytes) -> None:
        """Process data from the client."""
        try:
            for event in self._h2.receive_data(data):
                self._on_event(event)
            self._outbox.resume()
        except ProtocolError:
            self._responder.ledger.unidentified += 1
            self._flush()
            self._transport.finish()
            return
        self._flush()

    def _lost(self, error: OSError | None) -> None:
        for timer in self._timers.values():
            timer.cancel()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._transport.write(data)

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, events.RequestReceived):
            self._begin(event.stream_id, event.headers)
        elif isinstance(event, events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded):
            self._finish(event.stream_id)
        elif isinstance(event, events.StreamReset):
            self._requests.pop(event.stream_id, None)
            self._outbox.forget(event.stream_id)
            timer = self._timers.pop(event.stream_id, None)
            if timer is not None:
                timer.cancel()

    def _begin(self, number: int, headers: Fields) -> None:
        fields: dict[bytes, bytes] = {}
        for name, value in headers:
            fields[name] = fields[name] + b", " + value if name in fields else value
        try:
            method, path = fields.get(b":method", b""), fields.get(b":path", b"")
            request = Request(method, path, fields, self._responder.identity.name, last=False)
        except Malformed:
            self._responder.ledger.unidentified += 1
            self._h2.send_headers(number, [(b":status", b"400")], end_stream=True)
            return
        self._requests[number] = request
        self._responder.record(request, self._serial, self._remote, lambda: _raw_headers(headers))

    def _finish(self, number: int) -> None:
        request = self._requests.pop(number, None)
        if request is None:
            return
        if request.delay_s:
            loop = self._responder.loop
            self._timers[number] = loop.call_later(request.delay_s, self._after_delay, number, request)
        else:
            self._answer(number, request)

    def _after_delay(self, number: int, request: Request) -> None:
        del self._timers[number]
        self._answer(number, request)
        self._flush()

    def _answer(self, number: int, request: Request) -> None:
        body = self._responder.response_body(request).encode("latin-1")
        identity_headers = [*self._identity_headers, (b"x-probe-nonce", request.nonce.encode("latin-1"))]
        if request.fields.get(b"content-type", b"").startswith(b"application/grpc"):
            grpc = [(b":status", b"200"), (b"content-type", b"application/grpc"), *identity_headers]
            self._h2.send_headers(number, grpc)
            status = b"0" if request.status == 200 else _UNKNOWN
            self._outbox.send(number, grpc_message(body), [(b"grpc-status", status)])
            return
        status = str(request.status).encode()
        head = [(b":status", status), (b"content-type", b"application/json"), *identity_headers]
        if request.status in BODILESS:
            self._h2.send_headers(number, head, end_stream=True)
            return
        head.append((b"content-length", str(len(body)).encode()))
        bodiless = request.method == "HEAD"
        self._h2.send_headers(number, head, end_stream=bodiless)
        if not bodiless:
            self._outbox.send(number, body, [])


def _raw_headers(headers: Fields) -> dict[str, str]:
    """Without method and path, which the ledger records separately."""
    return raw_headers(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers
        if name not in _RECORDED_SEPARATELY
    )

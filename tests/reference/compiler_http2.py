"""Both ends of HTTP/2 for sidecars on loopback: the probe's application, and a client."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived

from conformance.probe.http2_framing import grpc_message
from conformance.probe.http_server import HttpServer
from conformance.probe.ledger import Entry, Ledger
from conformance.probe.listen import accept
from conformance.probe.responder import Identity, Responder
from conformance.probe.serve import upgrade_to_http2

Asked = tuple[str, str, dict[str, str]]


class Remembered(Ledger):
    """A ledger that keeps all entries in their order of arrival, whatever their nonce."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Entry] = []

    def record(self, nonce: str, port: int, entry: object) -> None:
        assert callable(entry)
        self.all.append(entry())


@contextmanager
def application(name: str, port: int) -> Iterator[list[Entry]]:
    """The probe's server on 127.0.0.1, for both versions of HTTP; yields the requests that reached it."""
    ledger = Remembered()
    bound = socket.create_server(("127.0.0.1", port))
    bound.setblocking(False)
    loop = asyncio.new_event_loop()
    responder = Responder(loop, Identity(name, name), port, ledger)
    accept(loop, bound, HttpServer(responder, upgrade_to_http2).accepted)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield ledger.all
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        bound.close()


@dataclass
class Answer:
    """The response on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    over: bool = False

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", 0))

    @property
    def server(self) -> str:
        return str(json.loads(self.body)["server"]) if self.status == 200 else ""


class Client:
    """A connection that uses HTTP/2 from its first octet."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._answers: dict[int, Answer] = {}

    def get(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        return self.side_by_side([(method, path, headers)])[0]

    def side_by_side(self, asked: Sequence[Asked]) -> list[Answer]:
        """Sends all of these before any response."""
        streams = [self._send(method, path, headers) for method, path, headers in asked]
        return self._await(streams)

    def call(self, path: str, message: bytes = b"hello") -> Answer:
        """A gRPC call."""
        fields = {"content-type": "application/grpc", "te": "trailers"}
        return self._await([self._send("POST", path, fields, grpc_message(message))])[0]

    def _send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> int:
        stream = self._h2.get_next_available_stream_id()
        given = [(key.replace("_", "-"), value) for key, value in headers.items()]
        head = [(":method", method), (":scheme", "http"), (":authority", "service"), (":path", path)]
        self._h2.send_headers(stream, [*head, *given], end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=True)
        self._answers[stream] = Answer()
        return stream

    def _await(self, streams: list[int]) -> list[Answer]:
        self._connection.sendall(self._h2.data_to_send())
        while not all(self._answers[stream].over for stream in streams):
            data = self._connection.recv(65536)
            if not data:
                raise ConnectionError("the connection was closed")
            self._take(data)
            self._connection.sendall(self._h2.data_to_send())
        return [self._answers[stream] for stream in streams]

    def _take(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, ResponseReceived):
                self._answers[event.stream_id].headers = dict(event.headers)
            elif isinstance(event, DataReceived):
                self._answers[event.stream_id].body += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, TrailersReceived):
                self._answers[event.stream_id].trailers = dict(event.headers)
            elif isinstance(event, StreamEnded | StreamReset):
                self._answers[event.stream_id].over = True

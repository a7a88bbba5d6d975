"""Misbehaving HTTP/2 servers, down to the wire."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, RequestReceived, StreamEnded
from probe_peers import Peer, Script

Headers = list[tuple[str, str]]
Answering = Callable[["Http2Peer", int, str], object]


class Http2Peer:
    """One connection of a server."""

    def __init__(self, sock: socket.socket, seen: Peer) -> None:
        self.sock = sock
        self.seen = seen
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def events(self) -> Iterator[Event]:
        """Until the client closes."""
        while data := self.sock.recv(65536):
            yield from self.h2.receive_data(data)
            self.flush()

    def answer(self, stream: int, nonce: str, *, server: str = "v1", status: int = 200) -> None:
        body = json.dumps({"server": server, "port": 1, "nonce": nonce}).encode()
        self.h2.send_headers(stream, [(":status", str(status))])
        self.h2.send_data(stream, body, end_stream=True)
        self.flush()

    def tell(self, stream: int, headers: Headers, body: bytes = b"", trailers: Headers | None = None) -> None:
        """Answer with these fields, body and trailers."""
        self.h2.send_headers(stream, headers, end_stream=not body and not trailers)
        if body:
            self.h2.send_data(stream, body, end_stream=not trailers)
        if trailers:
            self.h2.send_headers(stream, trailers, end_stream=True)
        self.flush()


def speaking(answering: Answering) -> Script:
    """Call this for each complete request, with the connection, the stream's number, and the nonce."""

    def script(sock: socket.socket, seen: Peer) -> None:
        http2_peer = Http2Peer(sock, seen)
        nonces: dict[int, str] = {}
        for event in http2_peer.events():
            if isinstance(event, RequestReceived):
                headers = dict(event.headers)
                seen.heads.append(json.dumps(event.headers))
                nonces[event.stream_id] = str(headers["x-probe-nonce"])
            elif isinstance(event, StreamEnded):
                answering(http2_peer, event.stream_id, nonces[event.stream_id])

    return script

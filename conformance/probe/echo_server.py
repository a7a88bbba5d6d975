"""Serves TCP and UDP: answers each line or datagram with a line of JSON that names the server, and an echo.

The first word of a line or datagram is its nonce. For example, the answer to ``b1.7 hello`` is
``{"server":"v1","port":9000,"nonce":"b1.7","pod":"v1-0"}``, a newline, and ``b1.7 hello``. A greeting server
sends such a line, with an empty nonce, as soon as a connection is established.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket

from .ledger import Entry, Ledger
from .responder import Identity
from .transport import Transport

LINE_LIMIT = 1 << 16
_encode = json.JSONEncoder(separators=(",", ":")).encode


class EchoServer:
    """A port that serves lines over TCP, or datagrams over UDP."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        identity: Identity,
        port: int,
        ledger: Ledger,
        *,
        greets: bool = False,
    ) -> None:
        self.loop = loop
        self.identity = identity
        self.port = port
        self.ledger = ledger
        self.greets = greets
        self._serials = itertools.count(1)

    def accepted(self, sock: socket.socket, remote: str) -> None:
        _Connection(self, sock, next(self._serials), remote)

    def datagrams(self, bound: socket.socket) -> None:
        """Answer the datagrams of this UDP socket from now on."""

        def ready() -> None:
            try:
                data, peer = bound.recvfrom(LINE_LIMIT)
                bound.sendto(self.answer(data, 0, peer[0]) + b"\n" + data, peer)
            except OSError:
                # Datagrams may get lost, and so may their answers.
                return

        self.loop.add_reader(bound, ready)

    def answer(self, line: bytes, connection: int, remote: str) -> bytes:
        """Record a line in the ledger; returns the line that names this server."""
        nonce = line.partition(b" ")[0].strip().decode("latin-1")
        self.ledger.record(nonce, self.port, lambda: Entry(self.port, None, None, {}, connection, remote))
        return self.identity_line(nonce)

    def identity_line(self, nonce: str) -> bytes:
        """The line, without its newline, that names this server."""
        line = {"server": self.identity.name, "port": self.port, "nonce": nonce, "pod": self.identity.pod}
        return _encode(line).encode()


class _Connection:
    __slots__ = ("_buffer", "_remote", "_serial", "_server", "_transport")

    def __init__(self, server: EchoServer, sock: socket.socket, serial: int, remote: str) -> None:
        self._server = server
        self._serial = serial
        self._remote = remote
        self._buffer = b""
        self._transport = Transport(server.loop, sock, self._received, self._lost)
        if server.greets:
            self._transport.write(server.identity_line("") + b"\n")

    def _received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        answers = [
            self._server.answer(line, self._serial, self._remote) + b"\n" + line + b"\n" for line in lines
        ]
        if answers:
            self._transport.write(b"".join(answers))
        if len(self._buffer) > LINE_LIMIT:
            self._server.ledger.unidentified += 1
            self._transport.close()

    def _lost(self, error: OSError | None) -> None:
        if self._buffer:
            # The request reached this workload, although its line has no end.
            self._server.answer(self._buffer, self._serial, self._remote)

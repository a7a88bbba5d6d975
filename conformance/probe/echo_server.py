"""Serves TCP and UDP: answers each line or datagram by a line of JSON that says who answered, and an echo.

The first word of a line or datagram is its nonce. For example ``b1.7 hello`` is answered by
``{"server":"v1","port":9000,"nonce":"b1.7","pod":"v1-0"}``, a newline, and ``b1.7 hello``. One that greets
says who it is as soon as a connection is made, in such a line with an empty nonce.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket

from .ledger import Entry, Ledger
from .responder import Identity
from .stream import Stream

LINE_LIMIT = 1 << 16
_encode = json.JSONEncoder(separators=(",", ":")).encode


class EchoServer:
    """One port that speaks lines over TCP, or datagrams over UDP."""

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

    def accepted(self, made: socket.socket, remote: str) -> None:
        _Connection(self, made, next(self._serials), remote)

    def datagrams(self, bound: socket.socket) -> None:
        """From now on answer what comes in on this UDP socket."""

        def ready() -> None:
            try:
                data, peer = bound.recvfrom(LINE_LIMIT)
                bound.sendto(self.answer(data, 0, peer[0]) + b"\n" + data, peer)
            except OSError:
                # A datagram may get lost, and so may its answer.
                return

        self.loop.add_reader(bound, ready)

    def answer(self, line: bytes, connection: int, remote: str) -> bytes:
        """Enter a line into the ledger and say who did."""
        nonce = line.partition(b" ")[0].strip().decode("latin-1")
        self.ledger.record(nonce, self.port, lambda: Entry(self.port, None, None, {}, connection, remote))
        return self.said(nonce)

    def said(self, nonce: str) -> bytes:
        """The words that say who answered."""
        said = {"server": self.identity.name, "port": self.port, "nonce": nonce, "pod": self.identity.pod}
        return _encode(said).encode()


class _Connection:
    __slots__ = ("_buffer", "_remote", "_serial", "_server", "_stream")

    def __init__(self, server: EchoServer, made: socket.socket, serial: int, remote: str) -> None:
        self._server = server
        self._serial = serial
        self._remote = remote
        self._buffer = b""
        self._stream = Stream(server.loop, made, self._received, self._lost)
        if server.greets:
            self._stream.write(server.said("") + b"\n")

    def _received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        answers = [
            self._server.answer(line, self._serial, self._remote) + b"\n" + line + b"\n" for line in lines
        ]
        if answers:
            self._stream.write(b"".join(answers))
        if len(self._buffer) > LINE_LIMIT:
            self._server.ledger.other += 1
            self._stream.close()

    def _lost(self, error: OSError | None) -> None:
        if self._buffer:
            # It reached this workload, although its line was not ended.
            self._server.answer(self._buffer, self._serial, self._remote)

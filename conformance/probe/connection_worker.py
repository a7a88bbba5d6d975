"""The workers of all protocols but HTTP/2: requests follow one another on a connection."""

from __future__ import annotations

from .request_protocols import Answer, request_protocol
from .resolve import Unresolved, connect
from .transport import Transport
from .worker import BatchContext, Worker, connection_failure, resolution_failure


class ConnectionWorker(Worker):
    """A worker with its own connection, which carries one request at a time."""

    __slots__ = ("_protocol", "_transport", "_used")

    def __init__(self, run: BatchContext) -> None:
        super().__init__(run)
        self._protocol = request_protocol(run.batch)
        self._transport: Transport | None = None
        self._used = 0

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _transmit(self, index: int) -> Answer | None:
        run = self._run
        if self._transport is None:
            if isinstance(run.target, Unresolved):
                return resolution_failure(run.target)
            self._serial = run.new_connection_serial()
            self._used = 0
            try:
                sock = connect(run.target, datagrams=run.batch.protocol == "udp")
            except OSError as error:
                return connection_failure(error)
            self._transport = Transport(run.loop, sock, self._received, self._lost)
        self._used += 1
        data = self._protocol.request(index, last=self._used == run.batch.per_connection)
        if data:
            self._transport.write(data)
        return None

    def _received(self, data: bytes) -> None:
        if self._index < 0:
            # Data on an idle connection, such as a server's announcement to close it.
            self.close()
            return
        answer = self._protocol.feed(data)
        if isinstance(answer, bytes):
            if self._transport is not None:
                self._transport.write(answer)
        elif answer is not None:
            self._finish(answer)

    def _lost(self, error: OSError | None) -> None:
        self._transport = None
        if self._index >= 0:
            self._finish((None if error else self._protocol.end()) or connection_failure(error))

    def _finish(self, answer: Answer) -> None:
        if not answer.reusable or self._used == self._run.batch.per_connection:
            self.close()
        super()._finish(answer)

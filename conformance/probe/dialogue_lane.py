"""The lanes of all protocols but HTTP/2: one thing is said after another on a connection."""

from __future__ import annotations

from .dialogue import Answer, dialogue
from .lane import Lane, Sending, broken, unresolved
from .resolve import Nowhere, connect
from .stream import Stream


class DialogueLane(Lane):
    """A lane with a connection of its own, on which one thing is said after another."""

    __slots__ = ("_dialogue", "_stream", "_used")

    def __init__(self, run: Sending) -> None:
        super().__init__(run)
        self._dialogue = dialogue(run.batch)
        self._stream: Stream | None = None
        self._used = 0

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _transmit(self, index: int) -> Answer | None:
        run = self._run
        if self._stream is None:
            if isinstance(run.target, Nowhere):
                return unresolved(run.target)
            self._serial = run.connection()
            self._used = 0
            try:
                made = connect(run.target, datagrams=run.batch.protocol == "udp")
            except OSError as error:
                return broken(error)
            self._stream = Stream(run.loop, made, self._received, self._lost)
        self._used += 1
        said = self._dialogue.request(index, last=self._used == run.batch.per_connection)
        if said:
            self._stream.write(said)
        return None

    def _received(self, data: bytes) -> None:
        if self._index < 0:
            # Words on an idle connection, such as a server's announcement that it closes it.
            self.close()
            return
        answer = self._dialogue.feed(data)
        if isinstance(answer, bytes):
            if self._stream is not None:
                self._stream.write(answer)
        elif answer is not None:
            self._finish(answer)

    def _lost(self, error: OSError | None) -> None:
        self._stream = None
        if self._index >= 0:
            self._finish((None if error else self._dialogue.end()) or broken(error))

    def _finish(self, answer: Answer) -> None:
        if not answer.keep or self._used == self._run.batch.per_connection:
            self.close()
        super()._finish(answer)

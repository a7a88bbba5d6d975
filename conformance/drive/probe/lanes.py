"""Lanes: each carries one request of a batch at a time, and observes what becomes of it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from .dialogue import Answer, dialogue, failed
from .plan import OVER_HTTP2
from .resolve import Nowhere, connect, failure_of, words_of
from .stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .client import BatchRun


class Lane:
    """One of the requests that a batch may have under way at once."""

    __slots__ = ("_index", "_run", "_serial", "_started")

    def __init__(self, run: BatchRun) -> None:
        self._run = run
        self._serial = 0
        self._index = -1
        self._started = 0.0

    def send(self, index: int) -> None:
        """Send a request, over a new connection if there is none to be used."""
        self._index = index
        self._started = perf_counter()
        failure = self._transmit(index)
        if failure is not None:
            self._run.loop.call_soon(self._unsent, failure)

    def overdue(self, before: float) -> bool:
        return self._index >= 0 and self._started <= before

    @property
    def started(self) -> float | None:
        """When the request under way was sent."""
        return self._started if self._index >= 0 else None

    def give_up(self) -> None:
        """End the request under way as timed out."""
        self._finish(failed("timeout"))

    def close(self) -> None:
        """End the connection, if there is one."""
        raise NotImplementedError

    def _transmit(self, index: int) -> Answer | None:
        """Hand a request to a connection; returns how it failed where that cannot be."""
        raise NotImplementedError

    def _unsent(self, failure: Answer) -> None:
        # It may have been given up meanwhile.
        if self._index >= 0:
            self._finish(failure)

    def _finish(self, answer: Answer) -> None:
        latency_us = round((perf_counter() - self._started) * 1_000_000)
        index, self._index = self._index, -1
        row = [index, self._serial, answer.server, answer.port, answer.status, latency_us, answer.failure]
        self._run.finished(self, row, answer.sample)


class DialogueLane(Lane):
    """A lane with a connection of its own, on which one thing is said after another."""

    __slots__ = ("_dialogue", "_stream", "_used")

    def __init__(self, run: BatchRun) -> None:
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


def broken(error: OSError | None) -> Answer:
    """What a request comes to whose connection is lost, or cannot be made."""
    return failed(failure_of(error), words_of(error))


def unresolved(name: Nowhere) -> Answer:
    """What a request comes to whose host has no address."""
    return failed("dns", f"resolver: {name.why}".encode("utf-8", "replace"))


def lanes_of(run: BatchRun, count: int) -> Sequence[Lane]:
    """The lanes of a batch."""
    if run.batch.protocol not in OVER_HTTP2:
        return [DialogueLane(run) for _ in range(count)]
    # Imported here: that takes a tenth of a second, and most probes never need it.
    from .http2_client import http2_lanes

    return http2_lanes(run, count)

"""Lanes: each carries one request of a batch at a time, and observes what becomes of it."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Protocol

from .dialogue import Answer, failed
from .plan import Batch
from .resolve import Nowhere, Target, failure_of, words_of


class Sending(Protocol):
    """What a lane needs of the batch that it is of."""

    batch: Batch
    target: Target | Nowhere
    loop: asyncio.AbstractEventLoop

    def connection(self) -> int:
        """The serial number of a new connection."""

    def finished(self, lane: Lane, row: list[Any], sample: bytes) -> None:
        """Note an observation, and go on."""


class Lane:
    """One of the requests that a batch may have under way at once."""

    __slots__ = ("_index", "_run", "_serial", "_started")

    def __init__(self, run: Sending) -> None:
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


def broken(error: OSError | None) -> Answer:
    """What a request comes to whose connection is lost, or cannot be made."""
    return failed(failure_of(error), words_of(error))


def unresolved(name: Nowhere) -> Answer:
    """What a request comes to whose host has no address."""
    return failed("dns", f"resolver: {name.why}".encode("utf-8", "replace"))

"""Workers: each carries one request of a batch at a time, and observes its outcome."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Protocol

from .plan import Batch
from .request_protocols import Answer, failed
from .resolve import ResolvedAddress, Unresolved, error_detail, failure_of


class BatchContext(Protocol):
    """A worker's view of its batch."""

    batch: Batch
    target: ResolvedAddress | Unresolved
    loop: asyncio.AbstractEventLoop

    def new_connection_serial(self) -> int:
        """The serial number of a new connection."""

    def finished(self, worker: Worker, row: list[Any], sample: bytes) -> None:
        """Record an observation and send the next request."""


class Worker:
    """One of the requests that a batch may have in flight at once."""

    __slots__ = ("_index", "_run", "_serial", "_started")

    def __init__(self, run: BatchContext) -> None:
        self._run = run
        self._serial = 0
        self._index = -1
        self._started = 0.0

    def send(self, index: int) -> None:
        """Send a request, over a new connection if none can be reused."""
        self._index = index
        self._started = perf_counter()
        failure = self._transmit(index)
        if failure is not None:
            self._run.loop.call_soon(self._unsent, failure)

    def overdue(self, before: float) -> bool:
        return self._index >= 0 and self._started <= before

    @property
    def started(self) -> float | None:
        """When the request in flight was sent; None without a request."""
        return self._started if self._index >= 0 else None

    def time_out(self) -> None:
        """End the request in flight as timed out."""
        self._finish(failed("timeout"))

    def close(self) -> None:
        """End the connection, if any."""
        raise NotImplementedError

    def _transmit(self, index: int) -> Answer | None:
        """Hand a request to a connection; returns the failure if that is impossible."""
        raise NotImplementedError

    def _unsent(self, failure: Answer) -> None:
        # It may have timed out meanwhile.
        if self._index >= 0:
            self._finish(failure)

    def _finish(self, answer: Answer) -> None:
        latency_us = round((perf_counter() - self._started) * 1_000_000)
        index, self._index = self._index, -1
        row = [index, self._serial, answer.server, answer.port, answer.status, latency_us, answer.failure]
        self._run.finished(self, row, answer.sample)


def connection_failure(error: OSError | None) -> Answer:
    """The outcome of a request whose connection is lost, or cannot be established."""
    return failed(failure_of(error), error_detail(error))


def resolution_failure(name: Unresolved) -> Answer:
    """The outcome of a request whose host has no address."""
    return failed("dns", f"resolver: {name.reason}".encode("utf-8", "replace"))

"""Sends the requests of one batch and records the outcome of each."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from .looks import LookTaker
from .plan import MAX_REQUESTS, Batch
from .resolve import ResolvedAddress, Unresolved
from .worker import BatchContext, Worker

ROWS_PER_LINE = 200
"""Observations per line."""
MAX_SAMPLES = 3
"""Different foreign answers kept per batch."""
Emit = Callable[[str, "list[list[Any]]"], object]
MakeWorkers = Callable[[BatchContext, int], "Sequence[Worker]"]


class BatchRunner:
    """A running batch. ``done`` is set when its last request has finished."""

    def __init__(
        self, batch: Batch, target: ResolvedAddress | Unresolved, emit: Emit, make_workers: MakeWorkers
    ) -> None:
        self.batch = batch
        self.target = target
        self.loop = asyncio.get_running_loop()
        self.done = asyncio.Event()
        self._emit = emit
        self._rows: list[list[Any]] = []
        self._request_limit = MAX_REQUESTS if batch.requests is None else batch.requests
        # Created before the first request, so that latencies do not include it.
        self._workers: Sequence[Worker] = make_workers(self, min(batch.concurrency, self._request_limit))
        self._idle: deque[Worker] = deque()
        self._sent = self._observed = self._connections = 0
        self._stopping = self._aborted = False
        self._started = 0.0
        self._took_s = 0.0
        self._pace_timer: asyncio.TimerHandle | None = None
        self._stop_timer: asyncio.TimerHandle | None = None
        self._timeout_timer: asyncio.TimerHandle | None = None
        self._failures: Counter[str] = Counter()
        self._samples: dict[tuple[str, str], int] = {}
        self._looks = LookTaker(batch.looks) if batch.looks else None

    def start(self) -> None:
        """Start sending."""
        self._started = self.loop.time()
        if self.batch.requests is None and self.batch.duration_s is not None:
            self._stop_timer = self.loop.call_later(self.batch.duration_s, self.stop)
        self._check_timeouts()
        for worker in self._workers:
            self._next(worker)

    def new_connection_serial(self) -> int:
        """The serial number of a new connection."""
        self._connections += 1
        return self._connections

    def stop(self) -> None:
        """Send no more requests; those in flight may finish."""
        self._stopping = True
        if not self._busy():
            self._end()

    def abort(self) -> None:
        """End now: requests in flight count as timed out, the batch as incomplete."""
        if not self.done.is_set():
            self._aborted = self._stopping = True
            for worker in self._workers:
                if worker.started is not None:
                    worker.time_out()
            self._end()

    def finished(self, worker: Worker, row: list[Any], sample: bytes) -> None:
        """Record an observation and send the next request."""
        self._rows.append(row)
        self._observed += 1
        if row[6] is not None:
            self._failures[row[6]] += 1
        if sample:
            self._add_sample(str(row[6] or row[4]), sample.decode("utf-8", "backslashreplace"))
        if len(self._rows) >= ROWS_PER_LINE:
            self._flush()
        if self._looks is not None and self._looks.suffices(row[0], row[2] if row[6] is None else None):
            self._stopping = True
        self._next(worker)

    def totals(self) -> dict[str, Any]:
        """The batch's part of the end line; a reader of fewer ``observations`` has lost some."""
        expected = self._sent if self.batch.requests is None or self._stopping else self._request_limit
        capped = self.batch.requests is None and self._sent >= self._request_limit
        return {
            "observations": self._observed,
            "sent": self._sent,
            "connections": self._connections,
            "address": self.target.address[0] if isinstance(self.target, ResolvedAddress) else None,
            "took_s": round(self._took_s, 6),
            "failures": dict(self._failures),
            "samples": [[text, count] for (_, text), count in self._samples.items()],
            "complete": self.done.is_set()
            and not self._aborted
            and not capped
            and self._observed == expected,
        }

    def _add_sample(self, outcome: str, text: str) -> None:
        """Count a foreign answer; bodies that differ each time must not crowd out another outcome."""
        kept = self._samples
        if (outcome, text) not in kept and len(kept) >= MAX_SAMPLES:
            outcomes = Counter(known for known, _ in kept)
            crowded = [key for key in kept if outcomes[key[0]] > 1]
            if outcome in outcomes or not crowded:
                return
            del kept[crowded[-1]]
        kept[outcome, text] = kept.get((outcome, text), 0) + 1

    def _next(self, worker: Worker) -> None:
        if self._exhausted():
            if not self._busy():
                self._end()
        elif self.batch.interval_s and self._due() > self.loop.time():
            self._idle.append(worker)
            self._pace_later()
        else:
            self._sent += 1
            worker.send(self._sent - 1)

    def _exhausted(self) -> bool:
        return self._stopping or self._sent >= self._request_limit

    def _due(self) -> float:
        return self._started + self._sent * self.batch.interval_s

    def _pace(self) -> None:
        self._pace_timer = None
        while self._idle and not self._exhausted() and self._due() <= self.loop.time():
            # The longest idle worker first: so steady traffic uses all its connections in turn.
            self._next(self._idle.popleft())
        if self._idle and not self._exhausted():
            self._pace_later()

    def _pace_later(self) -> None:
        if self._pace_timer is None:
            self._pace_timer = self.loop.call_at(self._due(), self._pace)

    def _busy(self) -> bool:
        return self._observed < self._sent

    def _check_timeouts(self) -> None:
        """Time out overdue requests, and schedule the next check for when the oldest may be overdue."""
        if self.done.is_set():
            return
        timeout_s = self.batch.timeout_s
        now = perf_counter()
        for worker in self._workers:
            if worker.overdue(now - timeout_s):
                worker.time_out()
        oldest = min((worker.started for worker in self._workers if worker.started is not None), default=now)
        self._timeout_timer = self.loop.call_later(max(oldest + timeout_s - now, 0.001), self._check_timeouts)

    def _flush(self) -> None:
        if self._rows:
            self._emit(self.batch.id, self._rows)
            self._rows = []

    def _end(self) -> None:
        if self.done.is_set():
            return
        self._took_s = self.loop.time() - self._started
        for timer in (self._pace_timer, self._stop_timer, self._timeout_timer):
            if timer is not None:
                timer.cancel()
        for worker in self._workers:
            worker.close()
        self._flush()
        self.done.set()

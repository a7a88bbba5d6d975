"""Sends the requests of one batch and notes what became of each."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from .lane import Lane, Sending
from .plan import REQUESTS, Batch
from .resolve import Nowhere, Target

ROWS = 200
"""Observations of a line."""
SAMPLES = 3
"""Different things of a batch that are kept of what none of our workloads said."""
Emit = Callable[[str, "list[list[Any]]"], object]
LanesOf = Callable[[Sending, int], "Sequence[Lane]"]


class BatchRun:
    """A batch under way. ``done`` is set when its last request is finished."""

    def __init__(self, batch: Batch, target: Target | Nowhere, emit: Emit, lanes_of: LanesOf) -> None:
        self.batch = batch
        self.target = target
        self.loop = asyncio.get_running_loop()
        self.done = asyncio.Event()
        self._emit = emit
        self._rows: list[list[Any]] = []
        self._most = REQUESTS if batch.requests is None else batch.requests
        # Made before anything is sent, so that no latency holds the time that it takes.
        self._lanes: Sequence[Lane] = lanes_of(self, min(batch.concurrency, self._most))
        self._idle: deque[Lane] = deque()
        self._sent = self._observed = self._connections = 0
        self._ending = self._cut = False
        self._started = 0.0
        self._took_s = 0.0
        self._tick: asyncio.TimerHandle | None = None
        self._stopper: asyncio.TimerHandle | None = None
        self._watcher: asyncio.TimerHandle | None = None
        self._failures: Counter[str] = Counter()
        self._samples: dict[tuple[str, str], int] = {}

    def start(self) -> None:
        """Begin to send."""
        self._started = self.loop.time()
        if self.batch.requests is None and self.batch.duration_s is not None:
            self._stopper = self.loop.call_later(self.batch.duration_s, self.stop)
        self._watch()
        for lane in self._lanes:
            self._next(lane)

    def connection(self) -> int:
        """The serial number of a new connection."""
        self._connections += 1
        return self._connections

    def stop(self) -> None:
        """Send no more; what is under way may come to its end."""
        self._ending = True
        if not self._busy():
            self._end()

    def cut(self) -> None:
        """End now: what is under way counts as timed out, and the batch as incomplete."""
        if not self.done.is_set():
            self._cut = self._ending = True
            for lane in self._lanes:
                if lane.started is not None:
                    lane.give_up()
            self._end()

    def finished(self, lane: Lane, row: list[Any], sample: bytes) -> None:
        """Note an observation, and go on."""
        self._rows.append(row)
        self._observed += 1
        if row[6] is not None:
            self._failures[row[6]] += 1
        if sample:
            self._hear(str(row[6] or row[4]), sample.decode("utf-8", "backslashreplace"))
        if len(self._rows) >= ROWS:
            self._flush()
        self._next(lane)

    def totals(self) -> dict[str, Any]:
        """What the end line says of this batch; whoever read fewer observations knows that some were lost."""
        expected = self._sent if self.batch.requests is None or self._ending else self._most
        capped = self.batch.requests is None and self._sent >= self._most
        return {
            "observations": self._observed,
            "sent": self._sent,
            "connections": self._connections,
            "address": self.target.address[0] if isinstance(self.target, Target) else None,
            "took_s": round(self._took_s, 6),
            "failures": dict(self._failures),
            "samples": [[said, count] for (_, said), count in self._samples.items()],
            "complete": self.done.is_set() and not self._cut and not capped and self._observed == expected,
        }

    def _hear(self, outcome: str, said: str) -> None:
        """Count what was said; bodies that differ each time are not to crowd out another outcome."""
        kept = self._samples
        if (outcome, said) not in kept and len(kept) >= SAMPLES:
            outcomes = Counter(one for one, _ in kept)
            crowded = [one for one in kept if outcomes[one[0]] > 1]
            if outcome in outcomes or not crowded:
                return
            del kept[crowded[-1]]
        kept[outcome, said] = kept.get((outcome, said), 0) + 1

    def _next(self, lane: Lane) -> None:
        if self._exhausted():
            if not self._busy():
                self._end()
        elif self.batch.interval_s and self._due() > self.loop.time():
            self._idle.append(lane)
            self._pace_later()
        else:
            self._sent += 1
            lane.send(self._sent - 1)

    def _exhausted(self) -> bool:
        return self._ending or self._sent >= self._most

    def _due(self) -> float:
        return self._started + self._sent * self.batch.interval_s

    def _pace(self) -> None:
        self._tick = None
        while self._idle and not self._exhausted() and self._due() <= self.loop.time():
            # The one idle for longest: so steady traffic uses all its connections in turn.
            self._next(self._idle.popleft())
        if self._idle and not self._exhausted():
            self._pace_later()

    def _pace_later(self) -> None:
        if self._tick is None:
            self._tick = self.loop.call_at(self._due(), self._pace)

    def _busy(self) -> bool:
        return self._observed < self._sent

    def _watch(self) -> None:
        """Give up what is overdue, and look again when the next request may be."""
        if self.done.is_set():
            return
        timeout_s = self.batch.timeout_s
        now = perf_counter()
        for lane in self._lanes:
            if lane.overdue(now - timeout_s):
                lane.give_up()
        oldest = min((lane.started for lane in self._lanes if lane.started is not None), default=now)
        self._watcher = self.loop.call_later(max(oldest + timeout_s - now, 0.001), self._watch)

    def _flush(self) -> None:
        if self._rows:
            self._emit(self.batch.id, self._rows)
            self._rows = []

    def _end(self) -> None:
        if self.done.is_set():
            return
        self._took_s = self.loop.time() - self._started
        for timer in (self._tick, self._stopper, self._watcher):
            if timer is not None:
                timer.cancel()
        for lane in self._lanes:
            lane.close()
        self._flush()
        self.done.set()

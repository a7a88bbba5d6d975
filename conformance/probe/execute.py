"""Carries out plans, and tells of them line by line: a start line, observations as they come, an end line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from .client import BatchRun
from .dialogue_lane import DialogueLane
from .lane import Lane, Sending
from .plan import OVER_HTTP2, Plan
from .resolve import Nowhere, Target, resolve

Write = Callable[[dict[str, Any]], object]


class Execution:
    """A plan under way.

    Each observation is a row: index, serial number of the connection (0: none was made), answering server,
    its port, HTTP status, latency in microseconds (with the making of the connection), failure. What is not
    known is null. The end line has samples of what was said by none of our workloads, each with the number
    of requests that came to exactly that.
    """

    def __init__(self, plan: Plan, write: Write) -> None:
        self._plan = plan
        self._write = write
        self._runs: list[BatchRun] = []
        self._lines = 0
        self._stopped = asyncio.Event()
        self._over = False

    async def run(self) -> None:
        """Send everything. What is not done by the plan's deadline is cut, and the end line says so."""
        self._say({"kind": "start", "batches": [batch.id for batch in self._plan.batches], "at": time.time()})
        sending = asyncio.ensure_future(self._send())
        try:
            await asyncio.wait({sending}, timeout=self._plan.deadline_s)
        finally:
            self._over = True
            if not sending.done():
                sending.cancel()
            for run in self._runs:
                run.cut()
        if sending.done() and not sending.cancelled():
            sending.result()
        totals = {run.batch.id: run.totals() for run in self._runs}
        complete = len(totals) == len(self._plan.batches) and all(one["complete"] for one in totals.values())
        self._say({"kind": "end", "complete": complete, "lines": self._lines, "batches": totals})

    def stop(self) -> None:
        """Send no more; what is under way may come to its end.

        What goes on until others end does so until then: it tells whether the machine kept up meanwhile.
        """
        self._stopped.set()
        for run in self._runs:
            if not run.batch.until_others:
                run.stop()

    async def _send(self) -> None:
        targets = await self._resolve()
        self._runs = [
            BatchRun(batch, targets[batch.host, batch.port], self._emit, lanes_of)
            for batch in self._plan.batches
        ]
        if self._stopped.is_set():
            for run in self._runs:
                run.stop()
            return
        if self._plan.parallel:
            for run in self._runs:
                run.start()
            # First those that end by themselves, then those that follow them.
            for run in sorted(self._runs, key=lambda run: run.batch.until_others):
                if run.batch.until_others:
                    run.stop()
                await run.done.wait()
            return
        for run in self._runs:
            if not self._stopped.is_set():
                run.start()
            await run.done.wait()

    async def _resolve(self) -> dict[tuple[str, int], Target | Nowhere]:
        """All names before the first request, so that batches side by side begin in the same moment."""
        wanted = list(dict.fromkeys((batch.host, batch.port) for batch in self._plan.batches))
        found = await asyncio.gather(*(resolve(host, port) for host, port in wanted))
        return {wanted[position]: target for position, target in enumerate(found)}

    def _emit(self, name: str, rows: list[list[Any]]) -> None:
        self._say({"batch": name, "observations": rows})

    def _say(self, line: dict[str, Any]) -> None:
        self._lines += 1
        self._write(line)


def lanes_of(run: Sending, count: int) -> Sequence[Lane]:
    """The lanes of a batch."""
    if run.batch.protocol not in OVER_HTTP2:
        return [DialogueLane(run) for _ in range(count)]
    # Imported here: that takes a tenth of a second, and most probes never need it.
    from .http2_client import http2_lanes

    return http2_lanes(run, count)

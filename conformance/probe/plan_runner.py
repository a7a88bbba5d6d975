"""Runs plans and reports them line by line: a start line, observations as they come, an end line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from .batch_runner import BatchRunner
from .connection_worker import ConnectionWorker
from .plan import OVER_HTTP2, Plan
from .resolve import ResolvedAddress, Unresolved, resolve
from .worker import BatchContext, Worker

Write = Callable[[dict[str, Any]], object]


class PlanRunner:
    """A running plan.

    Each observation is a row: index, serial number of the connection (0: none), answering server, its port,
    HTTP status, latency in microseconds (with the connection setup), failure. Unknown values are null. The
    end line has samples of foreign answers, each with the number of requests that got exactly that answer.
    """

    def __init__(self, plan: Plan, write: Write) -> None:
        self._plan = plan
        self._write = write
        self._runs: list[BatchRunner] = []
        self._lines = 0
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Send everything. The plan's deadline aborts the rest, and the end line reports that."""
        self._write_line(
            {"kind": "start", "batches": [batch.id for batch in self._plan.batches], "at": time.time()}
        )
        sending = asyncio.ensure_future(self._send())
        try:
            await asyncio.wait({sending}, timeout=self._plan.deadline_s)
        finally:
            if not sending.done():
                sending.cancel()
            for run in self._runs:
                run.abort()
        if sending.done() and not sending.cancelled():
            sending.result()
        totals = {run.batch.id: run.totals() for run in self._runs}
        complete = len(totals) == len(self._plan.batches) and all(
            each["complete"] for each in totals.values()
        )
        self._write_line({"kind": "end", "complete": complete, "lines": self._lines, "batches": totals})

    def stop(self) -> None:
        """Send no more requests; those in flight may finish.

        Batches that follow others go on until then: they show whether the machine kept up meanwhile.
        """
        self._stopped.set()
        for run in self._runs:
            if not run.batch.until_others:
                run.stop()

    async def _send(self) -> None:
        targets = await self._resolve()
        self._runs = [
            BatchRunner(batch, targets[batch.host, batch.port], self._emit, make_workers)
            for batch in self._plan.batches
        ]
        if self._stopped.is_set():
            for run in self._runs:
                run.stop()
            return
        if self._plan.parallel:
            for run in self._runs:
                run.start()
            # First the batches that end by themselves, then those that follow them.
            for run in sorted(self._runs, key=lambda run: run.batch.until_others):
                if run.batch.until_others:
                    run.stop()
                await run.done.wait()
            return
        for run in self._runs:
            if not self._stopped.is_set():
                run.start()
            await run.done.wait()

    async def _resolve(self) -> dict[tuple[str, int], ResolvedAddress | Unresolved]:
        """Resolve all names before the first request, so that parallel batches start at the same moment."""
        wanted = list(dict.fromkeys((batch.host, batch.port) for batch in self._plan.batches))
        found = await asyncio.gather(*(resolve(host, port) for host, port in wanted))
        return {wanted[position]: target for position, target in enumerate(found)}

    def _emit(self, name: str, rows: list[list[Any]]) -> None:
        self._write_line({"batch": name, "observations": rows})

    def _write_line(self, line: dict[str, Any]) -> None:
        self._lines += 1
        self._write(line)


def make_workers(run: BatchContext, count: int) -> Sequence[Worker]:
    """The workers of a batch."""
    if run.batch.protocol not in OVER_HTTP2:
        return [ConnectionWorker(run) for _ in range(count)]
    # A late import: it takes a tenth of a second, and most probes never need it.
    from .http2_client import http2_workers

    return http2_workers(run, count)

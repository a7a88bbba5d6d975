"""The control socket: one line of JSON in, lines of JSON out, for each connection.

Operations: ``ping``, ``run`` (a plan, at once), ``start`` (a plan in the background, answers with its
handle), ``stop`` (a handle, answers with all its lines), ``ledger``. What is asked wrongly is answered by one
line ``{"error": …}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .ledger import ENTRIES_OF_A_BATCH, Ledger
from .plan import Plan, PlanError, read_plan

if TYPE_CHECKING:
    from .execute import Execution

LINE_LIMIT = 1 << 24
_encode = json.JSONEncoder(separators=(",", ":")).encode


class RequestError(ValueError):
    """A request that cannot be answered."""


class _Background:
    """A plan under way of which nobody reads yet; its lines are kept as bytes, which are small."""

    def __init__(self, plan: Any) -> None:
        self.lines: list[bytes] = []
        self.execution = _execution(plan, lambda line: self.lines.append(_line(line)))
        self.task = asyncio.ensure_future(self.execution.run())


class Control:
    """Answers requests on a unix socket."""

    def __init__(self, name: str, pod: str, ledger: Ledger) -> None:
        self._name = name
        self._pod = pod
        self._ledger = ledger
        self._handles = (f"h{number}" for number in itertools.count(1))
        self._background: dict[str, _Background] = {}

    async def listen(self, path: str) -> asyncio.AbstractServer:
        """Listen at ``path``; what an earlier container of the pod left there makes way."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return await asyncio.start_unix_server(self._converse, path, limit=LINE_LIMIT)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = _read(await reader.readline())
            await self._answer(request, reader, writer)
        except (RequestError, PlanError) as error:
            writer.write(_line({"error": str(error)}))
        except ValueError:
            writer.write(_line({"error": f"a line longer than {LINE_LIMIT} bytes"}))
        finally:
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()

    async def _answer(
        self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        operation = request.get("op")
        if operation == "run":
            execution = _execution(read_plan(request.get("plan")), lambda line: writer.write(_line(line)))
            await _while_heard(execution, reader)
        elif operation == "start":
            handle = next(self._handles)
            self._background[handle] = _Background(read_plan(request.get("plan"), bounded=False))
            writer.write(_line({"handle": handle}))
        elif operation == "stop":
            background = self._background.pop(str(request.get("handle")), None)
            if background is None:
                raise RequestError(f"no traffic has the handle {request.get('handle')!r}")
            background.execution.stop()
            await background.task
            writer.write(b"".join(background.lines))
        elif operation == "ledger":
            writer.write(_line(self._read_ledger(request)))
        elif operation == "ping":
            writer.write(_line({"server": self._name, "pod": self._pod, "boot": self._ledger.boot}))
        else:
            raise RequestError(f"no operation {operation!r}: run, start, stop, ledger, ping")

    def _read_ledger(self, request: dict[str, Any]) -> dict[str, Any]:
        batches = request.get("batches")
        entries = request.get("entries", ENTRIES_OF_A_BATCH)
        if not isinstance(batches, list) or not all(isinstance(name, str) for name in batches):
            raise RequestError("ledger needs a list of batches")
        if type(entries) is not int or entries < 0:
            raise RequestError("entries is a number")
        return self._ledger.answer(batches, entries, bool(request.get("indices", False)))


def _execution(plan: Plan, write: Callable[[dict[str, Any]], object]) -> Execution:
    # Imported with the first plan: many workloads only serve, and start sooner without.
    from .execute import Execution

    return Execution(plan, write)


async def _while_heard(execution: Execution, reader: asyncio.StreamReader) -> None:
    """Carry a plan out, unless the one who asked for it goes away: then nobody would stop its traffic."""
    running = asyncio.ensure_future(execution.run())
    leaving = asyncio.ensure_future(reader.read())
    await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if running.done():
        running.result()
    else:
        running.cancel()


def _read(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise RequestError(f"not a line of JSON: {error}") from error
    if not isinstance(request, dict):
        raise RequestError("a request is a JSON object")
    return request


def _line(document: dict[str, Any]) -> bytes:
    return _encode(document).encode() + b"\n"

"""The probe's end of the control socket: per connection, one line of JSON in, lines of JSON out.

Operations: ``ping``, ``run`` (a plan, in the foreground), ``start`` (a plan in the background; returns its
handle), ``stop`` (a handle; returns all lines of its plan), ``ledger``. An invalid request gets one line
``{"error": …}``. `control_client` is the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .ledger import ENTRIES_PER_BATCH, Ledger
from .plan import Plan, PlanError, read_plan

if TYPE_CHECKING:
    from .plan_runner import PlanRunner

LINE_LIMIT = 1 << 24
_encode = json.JSONEncoder(separators=(",", ":")).encode


class RequestError(ValueError):
    """An invalid request."""


class _BackgroundPlan:
    """A plan that runs without a reader; its lines are buffered as bytes, which are small."""

    def __init__(self, plan: Any) -> None:
        self.lines: list[bytes] = []
        self.runner = _plan_runner(plan, lambda line: self.lines.append(_encode_line(line)))
        self.task = asyncio.ensure_future(self.runner.run())


class ControlServer:
    """Serves requests on a unix socket."""

    def __init__(self, name: str, pod: str, ledger: Ledger) -> None:
        self._name = name
        self._pod = pod
        self._ledger = ledger
        self._handles = (f"h{number}" for number in itertools.count(1))
        self._background: dict[str, _BackgroundPlan] = {}

    async def listen(self, path: str) -> asyncio.AbstractServer:
        """Listen at ``path``, and replace the socket of an earlier container of the pod."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return await asyncio.start_unix_server(self._serve_client, path, limit=LINE_LIMIT)

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = _parse_request(await reader.readline())
            await self._answer(request, reader, writer)
        except (RequestError, PlanError) as error:
            writer.write(_encode_line({"error": str(error)}))
        except ValueError:
            writer.write(_encode_line({"error": f"a line longer than {LINE_LIMIT} bytes"}))
        finally:
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()

    async def _answer(
        self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        operation = request.get("op")
        if operation == "run":
            runner = _plan_runner(
                read_plan(request.get("plan")), lambda line: writer.write(_encode_line(line))
            )
            await _run_while_connected(runner, reader)
        elif operation == "start":
            handle = next(self._handles)
            self._background[handle] = _BackgroundPlan(read_plan(request.get("plan"), bounded=False))
            writer.write(_encode_line({"handle": handle}))
        elif operation == "stop":
            background = self._background.pop(str(request.get("handle")), None)
            if background is None:
                raise RequestError(f"no traffic has the handle {request.get('handle')!r}")
            background.runner.stop()
            await background.task
            writer.write(b"".join(background.lines))
        elif operation == "ledger":
            writer.write(_encode_line(self._read_ledger(request)))
        elif operation == "ping":
            writer.write(
                _encode_line({"server": self._name, "pod": self._pod, "instance": self._ledger.instance})
            )
        else:
            raise RequestError(f"no operation {operation!r}: run, start, stop, ledger, ping")

    def _read_ledger(self, request: dict[str, Any]) -> dict[str, Any]:
        batches = request.get("batches")
        entries = request.get("entries", ENTRIES_PER_BATCH)
        if not isinstance(batches, list) or not all(isinstance(name, str) for name in batches):
            raise RequestError("ledger needs a list of batches")
        if type(entries) is not int or entries < 0:
            raise RequestError("entries is a number")
        return self._ledger.query(batches, entries, bool(request.get("indices", False)))


def _plan_runner(plan: Plan, write: Callable[[dict[str, Any]], object]) -> PlanRunner:
    # Imported with the first plan: many workloads only serve, and start sooner without it.
    from .plan_runner import PlanRunner

    return PlanRunner(plan, write)


async def _run_while_connected(runner: PlanRunner, reader: asyncio.StreamReader) -> None:
    """Run a plan until its client disconnects: nothing else could stop its traffic then."""
    running = asyncio.ensure_future(runner.run())
    leaving = asyncio.ensure_future(reader.read())
    await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if running.done():
        running.result()
    else:
        running.cancel()


def _parse_request(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise RequestError(f"not a line of JSON: {error}") from error
    if not isinstance(request, dict):
        raise RequestError("a request is a JSON object")
    return request


def _encode_line(document: dict[str, Any]) -> bytes:
    return _encode(document).encode() + b"\n"

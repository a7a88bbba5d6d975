"""Serves Envoy its configuration: the REST flavour of the xDS protocol on a Unix socket.

A request tells the version that Envoy has; it is answered as soon as there is another one (a long poll). The
request that follows an answer tells whether Envoy took it: it names the new version, or the old one again.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference.agent.envoy import EnvoyGone
from reference.delivery import path_of

_HOLD_S = 1800.0
# Envoy asks again at once for what it refused; the same answer is not given to it more often than this.
_SAME_AGAIN_S = 0.2
_LARGEST_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Resource:
    version: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Shown:
    version: str
    at: float


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of files on offer: the paths of those that Envoy refused, and of those not taken yet."""

    refused: tuple[str, ...]
    pending: tuple[str, ...]


class Board:
    """The resources on offer, by file path, and the server for them. Any thread may call its methods."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._resources: dict[str, _Resource] = {}
        self._loop = asyncio.new_event_loop()
        self._changed: dict[str, asyncio.Event] = {}
        # By path: the version that Envoy named last, the one that it refused, and what whoever had a version
        # was answered since.
        self._news = threading.Condition()
        self._taken: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._shown: dict[str, dict[str, _Shown]] = {}
        self._bodies = Bodies()
        self._asked = threading.Event()
        listening = threading.Event()
        threading.Thread(target=self._run, args=(listening,), daemon=True).start()
        listening.wait()

    def await_envoy(self, within_s: float = 30.0) -> None:
        """Waits until Envoy asked for the first time. Raises EnvoyGone when it does not."""
        if not self._asked.wait(within_s):
            raise EnvoyGone(f"Envoy asked for no configuration within {within_s:g} s")

    def publish(self, files: Mapping[str, str]) -> None:
        """Offers files in place of those of the same path."""
        resources = {
            path: _Resource(str(json.loads(text)["version_info"]), text.encode())
            for path, text in files.items()
        }
        self._loop.call_soon_threadsafe(self._publish, resources)

    def withdraw(self, paths: Iterable[str]) -> None:
        """Offers some files no longer; who asks for them waits."""
        self._loop.call_soon_threadsafe(self._withdraw, tuple(paths))

    def fate(self, versions: Mapping[str, str], roots: Iterable[str], within_s: float) -> Fate:
        """Waits until Envoy took or refused these versions, by path, or refused one of the roots.

        Where it refuses a root it never asks for what that refers to.
        """
        with self._news:
            self._news.wait_for(lambda: self._is_decided(versions, roots), within_s)
            return self._fate(versions)

    def _is_decided(self, versions: Mapping[str, str], roots: Iterable[str]) -> bool:
        fate = self._fate(versions)
        return not fate.pending or not set(roots).isdisjoint(fate.refused)

    def _fate(self, versions: Mapping[str, str]) -> Fate:
        refused = [path for path, version in versions.items() if self._refused.get(path) == version]
        taken = [path for path, version in versions.items() if self._taken.get(path) == version]
        pending = versions.keys() - {*refused, *taken}
        return Fate(tuple(refused), tuple(sorted(pending)))

    def _heard(self, path: str, have: str) -> None:
        with self._news:
            shown = self._shown.get(path, {}).get(have)
            if shown is None or shown.version == have:
                self._taken[path] = have
                self._shown.pop(path, None)
            else:
                self._refused[path] = shown.version
            self._news.notify_all()

    def _left(self, path: str) -> None:
        with self._news:
            self._taken.pop(path, None)

    def _publish(self, resources: Mapping[str, _Resource]) -> None:
        self._resources.update(resources)
        with self._news:
            for path in resources:
                self._refused.pop(path, None)
                self._shown.pop(path, None)
        for path in resources:
            if event := self._changed.pop(path, None):
                event.set()

    def _withdraw(self, paths: tuple[str, ...]) -> None:
        for path in paths:
            self._resources.pop(path, None)
        with self._news:
            for path in paths:
                self._refused.pop(path, None)
                self._shown.pop(path, None)

    def _run(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._socket.unlink(missing_ok=True)
        server = asyncio.start_unix_server(self._converse, str(self._socket), limit=_LARGEST_HEAD)
        # Held on to: a server that nobody refers to is closed.
        self._server = self._loop.run_until_complete(server)
        listening.set()
        self._loop.run_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                path, have = await _request(reader, self._bodies)
                self._asked.set()
                if path is not None:
                    self._heard(path, have)
                gone = asyncio.ensure_future(reader.read(1))
                answer = asyncio.ensure_future(self._answer(path, have))
                await asyncio.wait((gone, answer), return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    # Nothing is sent while an answer is awaited: Envoy hung up, for it needs this no more. Of
                    # routes that it needs until a listener is drained it goes on to have the version.
                    answer.cancel()
                    if path is not None:
                        self._left(path)
                    return
                gone.cancel()
                await asyncio.wait((gone,))
                writer.write(answer.result())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return
        finally:
            writer.close()

    async def _answer(self, path: str | None, have: str) -> bytes:
        if path is None:
            return _response("404 Not Found", b"")
        try:
            async with asyncio.timeout(_HOLD_S):
                while (resource := self._resources.get(path)) is None or resource.version == have:
                    await self._changed.setdefault(path, asyncio.Event()).wait()
        except TimeoutError:
            return _response("304 Not Modified", b"")
        shown = self._shown.get(path, {}).get(have)
        if shown is not None and (early := shown.at + _SAME_AGAIN_S - time.monotonic()) > 0:
            await asyncio.sleep(early)
            resource = self._resources.get(path, resource)
        self._shown.setdefault(path, {})[have] = _Shown(resource.version, time.monotonic())
        return _response("200 OK", resource.body)


class Bodies:
    """Reads the bodies of discovery requests.

    In each of them Envoy describes itself, in some 77 kB that are always the same: what was read once is not
    read again.
    """

    def __init__(self) -> None:
        self._node = ""

    def read(self, body: str) -> dict[str, Any]:
        """A body without the node. Raises ValueError where it is not JSON or no object."""
        if not self._node or self._node not in body:
            self._node = _node_of(body)
        request = json.loads(body.replace(self._node, '"node":null', 1) if self._node else body)
        if not isinstance(request, dict):
            raise ValueError("a discovery request is an object")
        return {key: value for key, value in request.items() if key != "node"}


def _node_of(body: str) -> str:
    """The member of a body that describes Envoy, key and value; empty where there is none."""
    _, key, rest = body.partition('"node":')
    value = rest.lstrip()
    padding = rest[: len(rest) - len(value)]
    return key + padding + value[: json.JSONDecoder().raw_decode(value)[1]] if key else ""


async def _request(reader: asyncio.StreamReader, bodies: Bodies) -> tuple[str | None, str]:
    """The file that a request is about, None for none that there can be, and the version that Envoy has.

    The rest of a request, which describes Envoy at length, is not kept while its answer is awaited: there
    are hundreds of them. Raises ValueError, asyncio.IncompleteReadError at the end of the stream.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = bodies.read((await reader.readexactly(int(headers["content-length"]))).decode())
    return path_of(start.split(" ")[1], body.get("resource_names", [])), str(body.get("version_info", ""))


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body

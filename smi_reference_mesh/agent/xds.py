"""Serves Envoy its configuration: the REST flavour of the xDS protocol on a Unix socket.

A request tells the version that Envoy has; it is answered as soon as there is another one (a long poll). The
request that follows an answer tells whether Envoy took it: it names the new version, or the old one again.
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from io import BufferedIOBase
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import Any, NamedTuple

from smi_reference_mesh.agent.envoy import EnvoyGone
from smi_reference_mesh.delivery import path_of

# How often a server looks whether it was shut down, which none is: each look wakes a process.
NEVER_SHUT_DOWN_S = 3600.0
_HOLD_S = 1800.0
# Envoy asks again at once for what it refused; the same answer is not given to it more often than this.
_SAME_AGAIN_S = 0.2
# How many subscriptions may begin at the same moment.
_BACKLOG = 1024
_NODE = '"node":'
_LONGEST_LINE = 64 * 1024


class _Resource(NamedTuple):
    version: str
    body: bytes


class _Shown(NamedTuple):
    version: str
    at: float


class Fate(NamedTuple):
    """What became of files on offer: the paths of those that Envoy refused, and of those not taken yet."""

    refused: tuple[str, ...]
    pending: tuple[str, ...]


class Board:
    """The resources on offer, by file path, and the server for them. Any thread may call its methods.

    Each subscription has a connection and a thread: there are some hundreds, which sleep until there is
    something for them.
    """

    def __init__(self, path: Path) -> None:
        # For all that follows. By path: what is on offer, the version that Envoy named last, the one that it
        # refused, and what whoever had a version was answered since; whom to wake when it changes.
        self._news = threading.Condition()
        self._resources: dict[str, _Resource] = {}
        self._taken: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._shown: dict[str, dict[str, _Shown]] = {}
        self._sleeping: dict[str, set[int]] = {}
        self._bodies = Bodies()
        self._asked = threading.Event()
        path.unlink(missing_ok=True)
        server = _Server(str(path), self._converse)
        threading.Thread(target=server.serve_forever, args=(NEVER_SHUT_DOWN_S,), daemon=True).start()

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
        with self._news:
            self._resources.update(resources)
            self._forget(resources)
            for path in resources:
                for wake in self._sleeping.get(path, ()):
                    os.eventfd_write(wake, 1)

    def withdraw(self, paths: Iterable[str]) -> None:
        """Offers some files no longer; who asks for them waits."""
        with self._news:
            for path in paths:
                self._resources.pop(path, None)
                self._forget((path,))

    def _forget(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._refused.pop(path, None)
            self._shown.pop(path, None)

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
            self._taken[path] = have
            if shown is None or shown.version == have:
                self._shown.pop(path, None)
            else:
                self._refused[path] = shown.version
            self._news.notify_all()

    def _left(self, path: str) -> None:
        with self._news:
            self._taken.pop(path, None)

    def _converse(self, connection: socket.socket, stream: BufferedIOBase) -> None:
        """Serves one subscription until Envoy hangs up, or says what is no request."""
        wake = os.eventfd(0, os.EFD_CLOEXEC)
        try:
            while (request := _request(stream, self._bodies)) is not None:
                self._asked.set()
                path, have = request
                if path is None:
                    connection.sendall(_response("404 Not Found", b""))
                    continue
                self._heard(path, have)
                answer = self._answer(connection, wake, path, have)
                if answer is None:
                    # Envoy needs this no more. Of routes that it needs until a listener is drained it goes on
                    # to have the version.
                    self._left(path)
                    return
                connection.sendall(answer)
        finally:
            os.close(wake)

    def _answer(self, connection: socket.socket, wake: int, path: str, have: str) -> bytes | None:
        """What is on offer, once it is another version than Envoy has; None when it hung up meanwhile."""
        end = time.monotonic() + _HOLD_S
        watched = select.poll()
        # Nothing is sent while an answer is awaited, so what can be read is the end.
        watched.register(connection, select.POLLIN)
        watched.register(wake, select.POLLIN)
        with self._news:
            self._sleeping.setdefault(path, set()).add(wake)
        try:
            while (now := time.monotonic()) < end:
                with self._news:
                    resource, due = self._due(path, have, now)
                    if resource is not None and due <= now:
                        self._shown.setdefault(path, {})[have] = _Shown(resource.version, now)
                        return _response("200 OK", resource.body)
                ready = dict(watched.poll((min(due, end) - now) * 1000))
                if connection.fileno() in ready:
                    return None
                if wake in ready:
                    os.eventfd_read(wake)
        finally:
            with self._news:
                self._sleeping[path].discard(wake)
        return _response("304 Not Modified", b"")

    def _due(self, path: str, have: str, now: float) -> tuple[_Resource | None, float]:
        """What to answer whoever has a version, and when; nothing, ever, as long as that is on offer."""
        resource = self._resources.get(path)
        if resource is None or resource.version == have:
            return None, float("inf")
        shown = self._shown.get(path, {}).get(have)
        return resource, now if shown is None else shown.at + _SAME_AGAIN_S


class _Server(ThreadingUnixStreamServer):
    """Has a function serve each connection, in a thread of its own."""

    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(self, path: str, converse: Callable[[socket.socket, BufferedIOBase], None]) -> None:
        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                # Connections that break, and requests that are none, end with what they were about.
                with suppress(OSError, ValueError):
                    converse(self.request, self.rfile)

        super().__init__(path, Handler)


class Bodies:
    """Reads the bodies of discovery requests.

    In each of them Envoy describes itself, in some 77 kB that are always the same: what was read once is not
    read again.
    """

    def __init__(self) -> None:
        self._node = ""

    def read(self, body: str) -> dict[str, Any]:
        """A body without the node. Raises ValueError where it is not JSON or no object."""
        start = body.find(_NODE)
        if start >= 0:
            if not self._node or not body.startswith(self._node, start):
                self._node = _node_at(body, start)
            body = f"{body[:start]}{_NODE}null{body[start + len(self._node) :]}"
        request = json.loads(body)
        if not isinstance(request, dict):
            raise ValueError("a discovery request is an object")
        return {key: value for key, value in request.items() if key != "node"}


def _node_at(body: str, start: int) -> str:
    """The member of a body that describes Envoy, key and value, which begins there."""
    value = start + len(_NODE)
    while body[value : value + 1].isspace():
        value += 1
    return body[start : json.JSONDecoder().raw_decode(body, value)[1]]


def _request(stream: BufferedIOBase, bodies: Bodies) -> tuple[str | None, str] | None:
    """The file that a request is about, None for none that there can be, and the version that Envoy has.

    None at the end of the stream. The rest of a request, which describes Envoy at length, is not kept while
    its answer is awaited: there are hundreds of them. Raises ValueError.
    """
    start = stream.readline(_LONGEST_LINE).decode("latin-1")
    if not start:
        return None
    length = 0
    while line := stream.readline(_LONGEST_LINE).strip():
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "content-length":
            length = int(value)
    body = bodies.read(stream.read(length).decode())
    url = start.partition(" ")[2].partition(" ")[0]
    return path_of(url, body.get("resource_names", [])), str(body.get("version_info", ""))


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body

"""Serves Envoy its configuration: the REST variant of the xDS protocol on a Unix socket.

A request names the version that Envoy has, and gets a response as soon as another is published (long poll).
Envoy's next request acknowledges that response by its version, or refuses it by naming the old version again.
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

from smi_reference_mesh.sidecar.config_source import resource_key
from smi_reference_mesh.sidecar.envoy_process import EnvoyGone

# The servers' poll interval for a shutdown, which never comes: each poll would wake a process.
NEVER_SHUT_DOWN_S = 3600.0
_HOLD_S = 1800.0
# Envoy repeats its request immediately after a refusal; the same response is repeated after this delay.
_REPEAT_S = 0.2
# How many subscriptions may begin at the same time.
_BACKLOG = 1024
_NODE = '"node":'
_LONGEST_LINE = 64 * 1024


class _Response(NamedTuple):
    version: str
    body: bytes


class _Answer(NamedTuple):
    version: str
    at: float


class AckStatus(NamedTuple):
    """Envoy's reaction to published responses: the keys that it refused, and those not acknowledged yet."""

    refused: tuple[str, ...]
    pending: tuple[str, ...]


class XdsServer:
    """Serves the published discovery responses by resource key. Thread-safe.

    Each subscription has a connection and a thread: hundreds of them, which sleep until their key changes.
    """

    def __init__(self, socket_path: Path) -> None:
        # Guards the following, all by resource key: the published response, the version that Envoy named
        # last, the version that it refused, the last answer to a request by the version it named, and the
        # event descriptors of waiting subscriptions.
        self._changed = threading.Condition()
        self._responses: dict[str, _Response] = {}
        self._taken: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._answered: dict[str, dict[str, _Answer]] = {}
        self._waiting: dict[str, set[int]] = {}
        self._reader = DiscoveryRequestReader()
        self._connected = threading.Event()
        socket_path.unlink(missing_ok=True)
        server = _Server(str(socket_path), self._serve)
        threading.Thread(target=server.serve_forever, args=(NEVER_SHUT_DOWN_S,), daemon=True).start()

    def await_envoy(self, within_s: float = 30.0) -> None:
        """Waits for Envoy's first request. Raises EnvoyGone without one."""
        if not self._connected.wait(within_s):
            raise EnvoyGone(f"Envoy asked for no configuration within {within_s:g} s")

    def publish(self, responses: Mapping[str, str]) -> None:
        """Publishes discovery responses (JSON), replacing those of the same key."""
        parsed = {
            key: _Response(str(json.loads(text)["version_info"]), text.encode())
            for key, text in responses.items()
        }
        with self._changed:
            self._responses.update(parsed)
            self._forget(parsed)
            for key in parsed:
                for wake in self._waiting.get(key, ()):
                    os.eventfd_write(wake, 1)

    def withdraw(self, keys: Iterable[str]) -> None:
        """Removes responses; requests for them wait."""
        with self._changed:
            for key in keys:
                self._responses.pop(key, None)
                self._forget((key,))

    def _forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._refused.pop(key, None)
            self._answered.pop(key, None)

    def ack_status(self, versions: Mapping[str, str], roots: Iterable[str], within_s: float) -> AckStatus:
        """Waits until Envoy acknowledged or refused these versions, by key, or refused one of the roots.

        Envoy never subscribes to the resources that only a refused root refers to.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_decided(versions, roots), within_s)
            return self._ack_status(versions)

    def _is_decided(self, versions: Mapping[str, str], roots: Iterable[str]) -> bool:
        ack_status = self._ack_status(versions)
        return not ack_status.pending or not set(roots).isdisjoint(ack_status.refused)

    def _ack_status(self, versions: Mapping[str, str]) -> AckStatus:
        refused = [key for key, version in versions.items() if self._refused.get(key) == version]
        taken = [key for key, version in versions.items() if self._taken.get(key) == version]
        pending = versions.keys() - {*refused, *taken}
        return AckStatus(tuple(refused), tuple(sorted(pending)))

    def _on_request(self, key: str, have: str) -> None:
        with self._changed:
            answered = self._answered.get(key, {}).get(have)
            self._taken[key] = have
            if answered is None or answered.version == have:
                self._answered.pop(key, None)
            else:
                self._refused[key] = answered.version
            self._changed.notify_all()

    def _on_disconnect(self, key: str) -> None:
        with self._changed:
            self._taken.pop(key, None)

    def _serve(self, connection: socket.socket, stream: BufferedIOBase) -> None:
        """Serves one subscription until Envoy disconnects. Raises ValueError for an invalid request."""
        wake = os.eventfd(0, os.EFD_CLOEXEC)
        try:
            while (request := _request(stream, self._reader)) is not None:
                self._connected.set()
                key, have = request
                if key is None:
                    connection.sendall(_http_response("404 Not Found", b""))
                    continue
                self._on_request(key, have)
                answer = self._answer(connection, wake, key, have)
                if answer is None:
                    # Envoy dropped the resource. Routes that it needs until a listener is drained keep their
                    # subscription.
                    self._on_disconnect(key)
                    return
                connection.sendall(answer)
        finally:
            os.close(wake)

    def _answer(self, connection: socket.socket, wake: int, key: str, have: str) -> bytes | None:
        """The response, once its version differs from Envoy's; None if Envoy disconnects meanwhile."""
        end = time.monotonic() + _HOLD_S
        watched = select.poll()
        # Envoy sends nothing while it waits, so a readable connection has ended.
        watched.register(connection, select.POLLIN)
        watched.register(wake, select.POLLIN)
        with self._changed:
            self._waiting.setdefault(key, set()).add(wake)
        try:
            while (now := time.monotonic()) < end:
                with self._changed:
                    response, due = self._due(key, have, now)
                    if response is not None and due <= now:
                        self._answered.setdefault(key, {})[have] = _Answer(response.version, now)
                        return _http_response("200 OK", response.body)
                ready = dict(watched.poll((min(due, end) - now) * 1000))
                if connection.fileno() in ready:
                    return None
                if wake in ready:
                    os.eventfd_read(wake)
        finally:
            with self._changed:
                self._waiting[key].discard(wake)
        return _http_response("304 Not Modified", b"")

    def _due(self, key: str, have: str, now: float) -> tuple[_Response | None, float]:
        """The response to a request that names version `have`, and when to send it; None if it is current."""
        response = self._responses.get(key)
        if response is None or response.version == have:
            return None, float("inf")
        answered = self._answered.get(key, {}).get(have)
        return response, now if answered is None else answered.at + _REPEAT_S


class _Server(ThreadingUnixStreamServer):
    """Calls `serve` for each connection, in a thread of its own."""

    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(self, key: str, serve: Callable[[socket.socket, BufferedIOBase], None]) -> None:
        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                # A broken connection or an invalid request ends its subscription only.
                with suppress(OSError, ValueError):
                    serve(self.request, self.rfile)

        super().__init__(key, Handler)


class DiscoveryRequestReader:
    """Parses the bodies of discovery requests.

    Each carries the same description of Envoy (`node`), some 77 kB, which is parsed once.
    """

    def __init__(self) -> None:
        self._node = ""

    def read(self, body: str) -> dict[str, Any]:
        """The body without its node. Raises ValueError unless it is a JSON object."""
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
    """The `node` member of a body, key and value, which begins at `start`."""
    value = start + len(_NODE)
    while body[value : value + 1].isspace():
        value += 1
    return body[start : json.JSONDecoder().raw_decode(body, value)[1]]


def _request(stream: BufferedIOBase, reader: DiscoveryRequestReader) -> tuple[str | None, str] | None:
    """The resource key of a request, None for an unsupported one, and the version that Envoy has.

    None at the end of the stream. Keeps nothing else of the large request, since hundreds wait for a
    response. Raises ValueError.
    """
    start = stream.readline(_LONGEST_LINE).decode("latin-1")
    if not start:
        return None
    length = 0
    while line := stream.readline(_LONGEST_LINE).strip():
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "content-length":
            length = int(value)
    body = reader.read(stream.read(length).decode())
    url = start.partition(" ")[2].partition(" ")[0]
    return resource_key(url, body.get("resource_names", [])), str(body.get("version_info", ""))


def _http_response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body

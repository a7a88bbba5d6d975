"""The node's client of the spawner process: requests namespaces and processes, and learns of their exit."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.clusters.embedded.interface import NodeError
from conformance.clusters.embedded.node.spawner_process import PACKET, receive

_COMMAND = (sys.executable, "-S", "-m", "conformance.clusters.embedded.node.spawner_process")
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or directory of the node, mounted in a container."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its arguments, its whole environment, its working directory."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: str = "/"

    def request(self) -> dict[str, Any]:
        """Its part of a request to the spawner."""
        return {
            "arguments": list(self.arguments),
            "environment": dict(self.environment),
            "directory": self.directory,
        }


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The shared namespaces of a pod and a netlink socket in them, as descriptors; the owner closes them."""

    network: int
    name: int
    netlink: int


@dataclass(frozen=True, slots=True)
class Child:
    """A process that the spawner started."""

    key: int
    spawner: SpawnerClient
    exit: asyncio.Future[int] = field(repr=False)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; harmless if it has ended."""
        self.spawner.send({"do": "kill", "id": self.key, "signal": int(number)})

    def kill(self) -> None:
        """Kill it, and if it is a container's first process, all others in the container."""
        self.signal(signal.SIGKILL)


class SpawnerClient:
    """Starts processes in namespaces, between `open` and `close`."""

    def __init__(self) -> None:
        self._keys = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Sequence[int]]] = {}
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def open(self) -> None:
        """Start the spawner process, in this process's namespaces. Needs a running event loop."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (mine, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * PACKET)
        with theirs:
            self._process = subprocess.Popen(_COMMAND, stdin=theirs.fileno())  # noqa: S603 - our own module
        self._control = mine
        asyncio.get_running_loop().add_reader(mine, self._on_readable)

    def close(self) -> None:
        """End the spawner process and everything that it started."""
        if self._control is None or self._process is None:
            return
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._process.wait(_STOP_S)
        self._fail_all("the spawner was closed")
        self._control = self._process = None

    async def network(self, hostname: str) -> Namespaces:
        """Namespaces for a new pod. Raises NodeError."""
        key, reply = self._new_request()
        self.send({"do": "network", "id": key, "hostname": hostname})
        network, name, netlink = await reply
        return Namespaces(network, name, netlink)

    async def start(
        self,
        command: Command,
        streams: tuple[int, int, int],
        *,
        namespaces: Namespaces,
        root: str,
        mounts: Sequence[Mount],
    ) -> Child:
        """Start a process with its own root; returns when it runs. Raises NodeError."""
        request = {
            "do": "start",
            "root": root,
            "mounts": [[each.source, each.target, each.read_only] for each in mounts],
            **command.request(),
        }
        return await self._run(request, (namespaces.network, namespaces.name), streams)

    async def enter(self, container: Child, command: Command, streams: tuple[int, int, int]) -> Child:
        """Start a further process in a container; returns when it runs. Raises NodeError."""
        return await self._run({"do": "enter", "container": container.key, **command.request()}, (), streams)

    def send(self, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a request. Raises NodeError if it is too long."""
        if self._control is None:
            return
        packet = json.dumps(request).encode()
        if len(packet) > PACKET:
            raise NodeError(f"arguments and environment are too long: {len(packet)} bytes")
        try:
            socket.send_fds(self._control, [packet], list(descriptors))
        except OSError as error:
            raise NodeError(f"the spawner does not answer: {error}") from error

    async def _run(
        self, request: Mapping[str, Any], namespaces: Sequence[int], streams: tuple[int, int, int]
    ) -> Child:
        key, reply = self._new_request()
        exited = self._exits[key] = asyncio.get_running_loop().create_future()
        read, write = os.pipe()
        try:
            self.send({"id": key, **request}, [*namespaces, *streams, write])
        except NodeError:
            os.close(read)
            del self._replies[key], self._exits[key]
            raise
        finally:
            os.close(write)
        asyncio.get_running_loop().add_reader(read, self._on_started, key, read)
        try:
            await reply
        except NodeError:
            self._exits.pop(key, None)
            raise
        return Child(key, self, exited)

    def _new_request(self) -> tuple[int, asyncio.Future[Sequence[int]]]:
        key = next(self._keys)
        reply = self._replies[key] = asyncio.get_running_loop().create_future()
        return key, reply

    def _on_started(self, key: int, read: int) -> None:
        """Read the pipe of a starting process: an error message, or its end once the process runs."""
        problem = os.read(read, 4096).decode(errors="replace")
        asyncio.get_running_loop().remove_reader(read)
        os.close(read)
        self._reply(key, problem)

    def _reply(self, key: int, problem: str, descriptors: Sequence[int] = ()) -> None:
        reply = self._replies.pop(key, None)
        if reply is None or reply.done():
            for descriptor in descriptors:
                os.close(descriptor)
        elif problem:
            reply.set_exception(NodeError(problem))
        else:
            reply.set_result(descriptors)

    def _on_readable(self) -> None:
        if self._control is None:
            return
        packet, descriptors = receive(self._control)
        if not packet:
            asyncio.get_running_loop().remove_reader(self._control)
            self._fail_all("the spawner has ended")
            return
        message = json.loads(packet)
        key = message["id"]
        if "ended" not in message:
            self._reply(key, message.get("error", ""), descriptors)
        elif (exited := self._exits.pop(key, None)) is not None and not exited.done():
            exited.set_result(message["ended"])

    def _fail_all(self, problem: str) -> None:
        for key in list(self._replies):
            self._reply(key, problem)
        for exited in self._exits.values():
            if not exited.done():
                exited.set_result(128 + signal.SIGKILL)
        self._exits.clear()

"""The seam inside the embedded cluster: what its API server asks of the node, and what the node tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Object = Mapping[str, Any]


class NodeError(Exception):
    """The node could not do what was asked; the text says what and why, in one line."""


@dataclass(frozen=True, slots=True)
class Backend:
    """An address behind a service port."""

    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class ServiceRule:
    """One port of a service's virtual address; without backends connections to it are refused."""

    address: str
    protocol: str
    port: int
    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True)
class HostName:
    """A name that resolves to an address, for pods of every namespace or of one."""

    name: str
    address: str
    namespace: str | None = None


class Supplies(Protocol):
    """What volumes and environment of a pod are made from. Raises NodeError for what is not there."""

    def config_map(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """The files of a ConfigMap."""
        ...

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """The files of a Secret."""
        ...

    def token(self, pod: Object, audience: str | None, lifetime_s: int) -> str:
        """A token of the pod's ServiceAccount; no audience stands for the API server's own."""
        ...

    def ca(self) -> str:
        """The certificate, PEM, by which pods know the API server."""
        ...


class Process(Protocol):
    """A command that runs in a container."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    async def wait(self) -> int:
        """The exit status, once it has ended."""
        ...

    def kill(self) -> None:
        """End it by force."""
        ...


class Node(Protocol):
    """The machine under the API server: pods as network namespaces with processes in them."""

    address: str
    """The node's own address on the bridge; the API server listens there for pods."""

    async def start(self) -> None:
        """Make the bridge. Raises NodeError when the machine cannot."""
        ...

    async def close(self) -> None:
        """End all pods and give everything back."""
        ...

    def run_pod(self, pod: Object, supplies: Supplies, on_status: Callable[[dict[str, Any]], None]) -> None:
        """Begin to run a pod, as its manifest says, and return at once.

        ``on_status`` is called in the event loop with the whole ``status`` (phase, podIP, podIPs, conditions,
        containerStatuses, initContainerStatuses, as a kubelet reports them) each time that it changes,
        problems (such as an unknown image) included as ``waiting`` with reason and message.
        """
        ...

    async def stop_pod(self, namespace: str, name: str, grace_s: float) -> None:
        """End a pod: SIGTERM, SIGKILL after the grace, then its namespace; returns when it is gone."""
        ...

    async def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> Process:
        """Run a command in a container. Raises NodeError."""
        ...

    def logs(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> str:
        """The last lines that a container wrote. Raises NodeError for a container that there is not."""
        ...

    async def route(self, services: Sequence[ServiceRule], names: Sequence[HostName]) -> None:
        """From now on let these virtual addresses and names lead where they say, and no others.

        Raises NodeError, after which nobody knows where they lead.
        """
        ...

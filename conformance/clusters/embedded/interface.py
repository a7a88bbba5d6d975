"""The interface between the embedded cluster's control plane and its node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Object = Mapping[str, Any]


class NodeError(Exception):
    """A failed operation of the node; the message is one line."""


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """An address behind a service port."""

    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class ServiceRule:
    """A port of a service's virtual address; without backends, connections to it are refused."""

    address: str
    protocol: str
    port: int
    backends: tuple[EndpointAddress, ...]


@dataclass(frozen=True, slots=True)
class HostName:
    """A name that resolves to an address, for pods of all namespaces or of ``namespace``."""

    name: str
    address: str
    namespace: str | None = None


class VolumeSources(Protocol):
    """The sources of a pod's volumes and environment. Raises NodeError for a missing source."""

    def config_map(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """The files of a ConfigMap."""
        ...

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """The files of a Secret."""
        ...

    def token(self, pod: Object, audience: str | None, lifetime_s: int) -> str:
        """A token of the pod's ServiceAccount; the default audience is the API server."""
        ...

    def ca(self) -> str:
        """The CA certificate, PEM, by which pods verify the API server."""
        ...


class Process(Protocol):
    """A running command in a container."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    async def wait(self) -> int:
        """The exit status, once it has ended."""
        ...

    def kill(self) -> None:
        """Kill it."""
        ...


class Node(Protocol):
    """The machine under the API server: pods as network namespaces with processes in them."""

    address: str
    """The node's address on the bridge; the API server listens there for pods."""

    async def start(self) -> None:
        """Create the bridge. Raises NodeError if the machine cannot."""
        ...

    async def close(self) -> None:
        """End all pods and release all resources."""
        ...

    def run_pod(
        self, pod: Object, sources: VolumeSources, on_status: Callable[[dict[str, Any]], None]
    ) -> None:
        """Start a pod from its manifest, and return at once.

        ``on_status`` is called in the event loop with the whole ``status`` (phase, podIP, podIPs, conditions,
        containerStatuses, initContainerStatuses, as a kubelet reports them) on each change, with problems
        (such as an unknown image) as ``waiting`` with reason and message.
        """
        ...

    async def stop_pod(self, namespace: str, name: str, grace_s: float) -> None:
        """End a pod: SIGTERM, SIGKILL after the grace, then its namespaces; returns when it is gone."""
        ...

    async def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> Process:
        """Run a command in a container. Raises NodeError."""
        ...

    def logs(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> str:
        """The last lines that a container wrote. Raises NodeError for a missing container."""
        ...

    async def route(self, services: Sequence[ServiceRule], names: Sequence[HostName]) -> None:
        """Replace the routes of virtual addresses, and the host names of pods.

        Raises NodeError, after which the routes are undefined.
        """
        ...

"""The interface to a cluster, limited to what a run needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conformance.model.errors import UserError

Object = Mapping[str, Any]
"""A Kubernetes object as plain JSON."""


class ClusterError(UserError):
    """A failed operation on the cluster; the message is one line, with the remedy if known."""


class ApiStatusError(ClusterError):
    """An error status from the API server; ``reason`` is that of its Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{message} (HTTP {status} {reason})")
        self.status = status
        self.reason = reason


class ExecFailed(ClusterError):
    """A command in a container could not be run or its channel broke: no fault of the mesh."""


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """The API server's answer to a plain request: HTTP status and decoded body."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of a command in a container: its exit status and its output."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount; requests can be made with its rights."""

    namespace: str
    name: str


class Cluster(Protocol):
    """The cluster of a run. Methods raise ClusterError if it is unreachable or refuses."""

    name: str
    kubectl: str
    """The kubectl options that select the same cluster."""

    def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        account: Account | None = None,
    ) -> ApiAnswer:
        """Send a request with the rights of ``account``, else the caller's; returns error statuses too."""
        ...

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """The path of a kind on the API server. Raises ClusterError if it is not served."""
        ...

    def apply(self, objects: Iterable[Object]) -> None:
        """Server-side apply the objects."""
        ...

    def delete(self, objects: Iterable[Object]) -> None:
        """Delete objects; a missing object is not an error."""
        ...

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> list[dict[str, Any]]:
        """Objects of a kind, in one namespace or all, that match a label selector."""
        ...

    def exec_line(
        self, namespace: str, pod: str, container: str, command: Sequence[str], line: str, timeout_s: float
    ) -> str:
        """Write a line to a command in a container, and return the lines that it answers.

        The first call starts the command, which keeps running; an empty line ends each answer. Raises
        ExecFailed if it cannot be started, breaks off or takes too long; the next call restarts it.
        """
        ...

    def run(
        self, namespace: str, pod: str, container: str, command: Sequence[str], timeout_s: float
    ) -> Completed:
        """Run a command in a container to its end. Raises ExecFailed if that fails or takes too long."""
        ...

    def close(self) -> None:
        """Release resources such as connections."""
        ...

    def logs(self, namespace: str, pod: str, container: str, *, tail: int = 100) -> str:
        """The last lines of a container's log."""
        ...

"""The seam to the world: what a run needs of a cluster, and nothing more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Object = Mapping[str, Any]
"""A Kubernetes object as plain JSON."""


class ClusterError(Exception):
    """The cluster could not do what was asked; the message is one line with the remedy where one is known."""


class Refused(ClusterError):
    """The API server answered with an error status."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{message} (HTTP {status} {reason})")
        self.status = status
        self.reason = reason


class ExecFailed(ClusterError):
    """A command in a container could not be run or its channel broke: trouble, but not of the mesh."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered to a plain request: HTTP status and decoded body."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Completed:
    """What became of a command in a container: its exit status and what it wrote."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount whose rights a request is made with."""

    namespace: str
    name: str


class Cluster(Protocol):
    """Where a run happens. Raises ClusterError when the cluster cannot be reached or refuses."""

    name: str
    kubectl: str
    """Options by which kubectl reaches the same cluster."""

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
    ) -> Answer:
        """One request to the API server, whatever it answers, with the rights of ``account`` or one's own."""
        ...

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Where the API server serves a kind. Raises ClusterError when it does not."""
        ...

    def apply(self, objects: Iterable[Object]) -> None:
        """Create the objects, or make those that are there equal to them."""
        ...

    def delete(self, objects: Iterable[Object]) -> None:
        """Delete objects; one that is gone already is no error."""
        ...

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> list[dict[str, Any]]:
        """Objects of a kind, in one namespace or all, that a label selector matches."""
        ...

    def ask(
        self, namespace: str, pod: str, container: str, command: Sequence[str], line: str, timeout_s: float
    ) -> str:
        """Pass a line to a command in a container, and return the lines that it answers.

        The command is started when it is first asked and kept running; an empty line ends each answer.
        Raises ExecFailed when it cannot be started, breaks off or takes too long; it is started anew then
        when it is next asked.
        """
        ...

    def run(
        self, namespace: str, pod: str, container: str, command: Sequence[str], timeout_s: float
    ) -> Completed:
        """Run a command in a container to its end. Raises ExecFailed when it cannot be, or takes too long."""
        ...

    def close(self) -> None:
        """Give up what is held, such as connections."""
        ...

    def logs(self, namespace: str, pod: str, container: str, *, tail: int = 100) -> str:
        """The last lines of a container's log."""
        ...

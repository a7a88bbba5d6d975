"""No cluster: for what is planned and not done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from conformance.clusters import Account, Answer, ClusterError, Completed, Object


class Nowhere:
    """A cluster that there is not. Whatever it is asked for raises ClusterError."""

    name = "none"
    kubectl = ""

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
        _refuse()

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        _refuse()

    def apply(self, objects: Iterable[Object]) -> None:
        _refuse()

    def delete(self, objects: Iterable[Object]) -> None:
        _refuse()

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> list[dict[str, Any]]:
        _refuse()

    def ask(
        self, namespace: str, pod: str, container: str, command: Sequence[str], line: str, timeout_s: float
    ) -> str:
        _refuse()

    def run(
        self, namespace: str, pod: str, container: str, command: Sequence[str], timeout_s: float
    ) -> Completed:
        _refuse()

    def close(self) -> None:
        """Nothing is held."""

    def logs(self, namespace: str, pod: str, container: str, *, tail: int = 100) -> str:
        _refuse()


def _refuse() -> NoReturn:
    raise ClusterError("nothing is done in any cluster here")

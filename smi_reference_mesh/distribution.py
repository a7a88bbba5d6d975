"""Who gets which configuration: compiles for each connected workload and wakes the polls whose files changed.

Stateless across restarts: a version is the hash of the files, and sidecars tell when their identity is due.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smi_reference_mesh.compiler import compile as compile_configuration
from smi_reference_mesh.compiler.bootstrap import identity_files
from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.events import kind_of
from smi_reference_mesh.hooks import MeshHooks
from smi_reference_mesh.kube.certificates import IDENTITY_LIFETIME, CertificateAuthority
from smi_reference_mesh.kube.objects import Workload, account_of, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.names import spiffe_id
from smi_reference_mesh.sidecar.config_source import from_agent
from smi_reference_mesh.smi.model import Problem

_LOG = logging.getLogger(__name__)
# A sidecar that was not heard of for this long is not waited for.
_CONNECTED_S = 10.0
_VERSIONS_KEPT = 8


@dataclass(frozen=True, slots=True)
class ConfigUpdate:
    """The answer to a poll: what changed since the version `base`; everything if that is empty."""

    version: str
    base: str
    identity: str
    responses: Mapping[str, str]
    removed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "base": self.base,
            "identity": self.identity,
            "responses": dict(self.responses),
            "removed": list(self.removed),
        }


@dataclass(slots=True)
class Seat:
    """What is known of one connected workload."""

    account: str = ""
    version: str = ""
    responses: Mapping[str, str] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    polls: int = 0
    heard_at: float = 0.0
    taken: str = ""
    error: str = ""
    # Digests of the files of the last versions, to send differences only.
    history: OrderedDict[str, dict[str, str]] = field(default_factory=OrderedDict)

    def connected(self, now: float) -> bool:
        return self.polls > 0 or now - self.heard_at < _CONNECTED_S


class Distribution:
    """The seats of all workloads and the configuration of each."""

    def __init__(
        self,
        authority: CertificateAuthority,
        settled: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        found: Callable[[Mapping[str, str]], object] = lambda problem: None,
    ) -> None:
        self._found = found
        self._authority = authority
        self._settled = settled
        self._clock = clock
        self._snapshot: ClusterSnapshot | None = None
        self._hooks: MeshHooks | None = None
        self._updating = False
        self._problems: tuple[dict[str, str], ...] = ()
        self.seats: dict[Workload, Seat] = {}

    def problems(self) -> list[dict[str, str]]:
        """Objects that were not understood, and configurations that Envoy refused."""
        refused = [
            {"kind": "Pod", "namespace": workload.namespace, "name": workload.name, "message": seat.error}
            for workload, seat in sorted(self.seats.items())
            if seat.error
        ]
        return [*self._problems, *refused]

    def is_settled(self) -> bool:
        """Whether every connected workload told that it dealt with its current version."""
        now = self._clock()
        return not self._updating and all(
            seat.taken == seat.version for seat in self.seats.values() if seat.version and seat.connected(now)
        )

    async def update(self, snapshot: ClusterSnapshot, hooks: MeshHooks) -> None:
        """Compiles for every workload that has a seat; those whose files changed are woken."""
        self._snapshot, self._hooks, self._updating = snapshot, hooks, True
        living = _accounts(snapshot)
        # A seat without version and with a poll is that of a pod which has not been seen yet.
        self.seats = {
            workload: seat
            for workload, seat in self.seats.items()
            if workload in living or (seat.polls and not seat.version)
        }
        wanted = {workload: living[workload] for workload in self.seats if workload in living}
        # In a thread, so that webhooks and polls are answered meanwhile.
        compiled = await asyncio.to_thread(_compile_all, snapshot, hooks, tuple(wanted))
        problems: dict[tuple[str, ...], dict[str, str]] = {}
        for workload, (responses, found) in compiled.items():
            self._place(workload, wanted[workload], responses)
            problems |= {tuple(entry.values()): entry for entry in found}
        self._report(tuple(problems.values()))
        self._updating = False
        self._settled()

    def _report(self, problems: tuple[dict[str, str], ...]) -> None:
        for problem in problems:
            if problem not in self._problems:
                _LOG.warning("%(kind)s %(namespace)s/%(name)s: %(message)s", problem)
                self._found(problem)
        self._problems = problems

    def _place(self, workload: Workload, account: str, responses: Mapping[str, str]) -> None:
        seat = self.seats.get(workload)
        if seat is None:
            return
        digests = {key: _digest(text) for key, text in sorted(responses.items())}
        version = _digest("\n".join(f"{key} {digest}" for key, digest in digests.items()))
        seat.account = account
        if version == seat.version:
            return
        seat.version, seat.responses = version, responses
        seat.history[version] = digests
        seat.history.move_to_end(version)
        while len(seat.history) > _VERSIONS_KEPT:
            seat.history.popitem(last=False)
        seat.changed.set()

    async def poll(self, workload: Workload, have: str, identity: str, wait_s: float) -> ConfigUpdate | None:
        """The configuration of a workload as soon as it differs from what it has; None after `wait_s`."""
        seat = self.seats.get(workload)
        if seat is None:
            seat = self.seats[workload] = Seat()
        if have:
            seat.taken = have
        seat.polls += 1
        try:
            if not seat.version:
                await self._welcome(workload)
            async with asyncio.timeout(min(wait_s, max(0.0, self._due_in(identity)))):
                while not seat.version or seat.version == have:
                    seat.changed.clear()
                    await seat.changed.wait()
        except TimeoutError:
            pass
        finally:
            seat.polls -= 1
            seat.heard_at = self._clock()
        if not seat.version:
            return None
        due = self._due_in(identity) <= 0
        if seat.version == have and not due:
            return None
        return self._delivery(seat, workload, have, identity, due=due)

    async def _welcome(self, workload: Workload) -> None:
        snapshot, hooks = self._snapshot, self._hooks
        if snapshot is None or hooks is None:
            return
        accounts = _accounts(snapshot)
        if workload not in accounts:
            return  # Its pod is about to be seen; the update that brings it compiles for it.
        compiled = await asyncio.to_thread(_compile_all, snapshot, hooks, (workload,))
        if workload not in compiled:
            return  # Withheld: the update that brings more of the world compiles for it.
        # Otherwise an update has begun meanwhile; it knows of the seat, and has the newer world.
        if self._snapshot is snapshot and self._hooks is hooks:
            self._place(workload, accounts[workload], compiled[workload][0])

    def told(self, workload: Workload, version: str, error: str) -> None:
        """A workload told how it fared with a version."""
        seat = self.seats.get(workload)
        if seat is not None:
            seat.taken, seat.error, seat.heard_at = version, error, self._clock()
            self._settled()

    def _due_in(self, identity: str) -> float:
        """Seconds until an identity, described by the tag that was delivered with it, is to be renewed."""
        fingerprint, _, renew_at = identity.partition(":")
        if fingerprint != self._authority.fingerprint or not renew_at.isdigit():
            return 0.0 if identity else float("inf")
        return int(renew_at) - datetime.now(UTC).timestamp()

    def _delivery(
        self, seat: Seat, workload: Workload, have: str, identity: str, *, due: bool
    ) -> ConfigUpdate:
        base = have if have in seat.history else ""
        known = seat.history.get(have, {})
        now = seat.history[seat.version]
        responses = {key: text for key, text in seat.responses.items() if known.get(key) != now[key]}
        removed = tuple(sorted(set(known) - set(now)))
        if due or not identity:
            issued_at = datetime.now(UTC)
            pair = self._authority.identity(spiffe_id(workload.namespace, seat.account), issued_at)
            responses |= identity_files(pair.certificate, pair.key, self._authority.trust_bundle)
            renew_at = issued_at + IDENTITY_LIFETIME / 2
            identity = f"{self._authority.fingerprint}:{int(renew_at.timestamp())}"
        return ConfigUpdate(seat.version, base, identity, responses, removed)


def _accounts(snapshot: ClusterSnapshot) -> dict[Workload, str]:
    """The ServiceAccount of each pod."""
    return {Workload(namespace_of(pod), name_of(pod)): account_of(pod) for pod in snapshot.of("pods")}


def _compile_all(
    snapshot: ClusterSnapshot, hooks: MeshHooks, workloads: tuple[Workload, ...]
) -> dict[Workload, tuple[dict[str, str], tuple[dict[str, str], ...]]]:
    shown = hooks.snapshot(snapshot)
    results = {}
    for workload in workloads:
        if hooks.withholds(snapshot, workload):
            continue
        configuration: Configuration = hooks.configuration(
            compile_configuration(shown, workload), snapshot, workload
        )
        problems = tuple(_entry(snapshot, problem) for problem in configuration.problems)
        responses = {key: from_agent(text) for key, text in configuration.files().items()}
        results[workload] = (responses, problems)
    return results


def _entry(snapshot: ClusterSnapshot, problem: Problem) -> dict[str, str]:
    """A problem, and the object that has it: one of the same name that follows it is told of anew."""
    kind = kind_of(problem.kind)
    uids = {
        (namespace_of(each), name_of(each)): str(each["metadata"].get("uid", ""))
        for each in snapshot.of(kind.key if kind else "")
    }
    return {
        "kind": problem.kind,
        "namespace": problem.namespace,
        "name": problem.name,
        "uid": uids.get((problem.namespace, problem.name), ""),
        "message": problem.message,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""Sends each connected workload its configuration: compiles, and responds to the polls of changed ones.

Stateless across restarts: a version is a hash of the responses, and polls carry the renewal time of the
workload's identity.
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
from functools import lru_cache
from typing import Any

from smi_reference_mesh.compiler import compile as compile_configuration
from smi_reference_mesh.compiler.bootstrap import identity_files
from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.control_plane.events import kind_of
from smi_reference_mesh.hooks import MeshHooks
from smi_reference_mesh.kube.certificates import IDENTITY_LIFETIME, CertificateAuthority
from smi_reference_mesh.kube.objects import Workload, account_of, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.names import spiffe_id
from smi_reference_mesh.sidecar.config_source import from_agent
from smi_reference_mesh.smi.model import Problem

_LOG = logging.getLogger(__name__)
# A sidecar silent for longer does not count as connected.
_CONNECTED_S = 10.0
_VERSIONS_KEPT = 8


@dataclass(frozen=True, slots=True)
class ConfigUpdate:
    """The response to a poll: the changes since version `base`, or everything if `base` is empty."""

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
class Subscriber:
    """The state of one connected workload."""

    account: str = ""
    version: str = ""
    responses: Mapping[str, str] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    polls: int = 0
    last_seen_at: float = 0.0
    acknowledged: str = ""
    error: str = ""
    # Digests of the responses of the last versions, to send differences only.
    history: OrderedDict[str, dict[str, str]] = field(default_factory=OrderedDict)

    def connected(self, now: float) -> bool:
        return self.polls > 0 or now - self.last_seen_at < _CONNECTED_S


class Subscriptions:
    """The subscribers, and the configuration of each."""

    def __init__(
        self,
        authority: CertificateAuthority,
        on_settled: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        on_problem: Callable[[Mapping[str, str]], object] = lambda problem: None,
    ) -> None:
        self._on_problem = on_problem
        self._authority = authority
        self._on_settled = on_settled
        self._clock = clock
        self._snapshot: ClusterSnapshot | None = None
        self._hooks: MeshHooks | None = None
        self._updating = False
        self._problems: tuple[dict[str, str], ...] = ()
        self.subscribers: dict[Workload, Subscriber] = {}

    def problems(self) -> list[dict[str, str]]:
        """Invalid or unresolvable objects, and configurations that Envoy refused."""
        refused = [
            {
                "kind": "Pod",
                "namespace": workload.namespace,
                "name": workload.name,
                "message": subscriber.error,
            }
            for workload, subscriber in sorted(self.subscribers.items())
            if subscriber.error
        ]
        return [*self._problems, *refused]

    def is_settled(self) -> bool:
        """Whether every connected workload has acknowledged or refused its current version."""
        now = self._clock()
        return not self._updating and all(
            subscriber.acknowledged == subscriber.version
            for subscriber in self.subscribers.values()
            if subscriber.version and subscriber.connected(now)
        )

    async def update(self, snapshot: ClusterSnapshot, hooks: MeshHooks) -> None:
        """Compiles for every subscriber, and wakes those whose configuration changed."""
        self._snapshot, self._hooks, self._updating = snapshot, hooks, True
        accounts = _accounts(snapshot)
        # A polling subscriber without a version is a pod that the watch has not reported yet.
        self.subscribers = {
            workload: subscriber
            for workload, subscriber in self.subscribers.items()
            if workload in accounts or (subscriber.polls and not subscriber.version)
        }
        wanted = {workload: accounts[workload] for workload in self.subscribers if workload in accounts}
        # In a thread, so that webhooks and polls get their responses meanwhile.
        compiled = await asyncio.to_thread(_compile_all, snapshot, hooks, tuple(wanted))
        problems: dict[tuple[str, ...], dict[str, str]] = {}
        for workload, (responses, found) in compiled.items():
            self._assign(workload, wanted[workload], responses)
            problems |= {tuple(entry.values()): entry for entry in found}
        self._report(tuple(problems.values()))
        self._updating = False
        self._on_settled()

    def _report(self, problems: tuple[dict[str, str], ...]) -> None:
        for problem in problems:
            if problem not in self._problems:
                _LOG.warning("%(kind)s %(namespace)s/%(name)s: %(message)s", problem)
                self._on_problem(problem)
        self._problems = problems

    def _assign(self, workload: Workload, account: str, responses: Mapping[str, str]) -> None:
        subscriber = self.subscribers.get(workload)
        if subscriber is None:
            return
        digests = {
            key: _route_digest(text) if _is_route(key) else _digest(text)
            for key, text in sorted(responses.items())
        }
        version = _digest("\n".join(f"{key} {digest}" for key, digest in digests.items()))
        subscriber.account = account
        if version == subscriber.version:
            return
        subscriber.version, subscriber.responses = version, responses
        subscriber.history[version] = digests
        subscriber.history.move_to_end(version)
        while len(subscriber.history) > _VERSIONS_KEPT:
            subscriber.history.popitem(last=False)
        subscriber.changed.set()

    async def poll(self, workload: Workload, have: str, identity: str, wait_s: float) -> ConfigUpdate | None:
        """The update of a workload's configuration as soon as it differs from `have`; None after `wait_s`."""
        subscriber = self.subscribers.get(workload)
        if subscriber is None:
            subscriber = self.subscribers[workload] = Subscriber()
        if have:
            subscriber.acknowledged = have
        subscriber.polls += 1
        try:
            if not subscriber.version:
                await self._compile_for(workload)
            async with asyncio.timeout(min(wait_s, max(0.0, self._renewal_due_in_s(identity)))):
                while not subscriber.version or subscriber.version == have:
                    subscriber.changed.clear()
                    await subscriber.changed.wait()
        except TimeoutError:
            pass
        finally:
            subscriber.polls -= 1
            subscriber.last_seen_at = self._clock()
        if not subscriber.version:
            return None
        due = self._renewal_due_in_s(identity) <= 0
        if subscriber.version == have and not due:
            return None
        return self._update_since(subscriber, workload, have, identity, due=due)

    async def _compile_for(self, workload: Workload) -> None:
        snapshot, hooks = self._snapshot, self._hooks
        if snapshot is None or hooks is None:
            return
        accounts = _accounts(snapshot)
        if workload not in accounts:
            return  # The watch has not reported its pod yet; the update that does compiles for it.
        compiled = await asyncio.to_thread(_compile_all, snapshot, hooks, (workload,))
        if workload not in compiled:
            return  # Withheld: a later update compiles for it.
        # Otherwise an update has begun meanwhile, with a newer snapshot and this subscriber.
        if self._snapshot is snapshot and self._hooks is hooks:
            self._assign(workload, accounts[workload], compiled[workload][0])

    def acknowledge(self, workload: Workload, version: str, error: str) -> None:
        """Records that a workload's Envoy acknowledged a version, or refused it with an error."""
        subscriber = self.subscribers.get(workload)
        if subscriber is not None:
            subscriber.acknowledged, subscriber.error, subscriber.last_seen_at = version, error, self._clock()
            self._on_settled()

    def _renewal_due_in_s(self, identity: str) -> float:
        """Seconds until an identity, described by the tag sent with it, must be renewed."""
        fingerprint, _, renew_at = identity.partition(":")
        if fingerprint != self._authority.fingerprint or not renew_at.isdigit():
            return 0.0 if identity else float("inf")
        return int(renew_at) - datetime.now(UTC).timestamp()

    def _update_since(
        self, subscriber: Subscriber, workload: Workload, have: str, identity: str, *, due: bool
    ) -> ConfigUpdate:
        base = have if have in subscriber.history else ""
        known = subscriber.history.get(have, {})
        now = subscriber.history[subscriber.version]
        responses = {key: text for key, text in subscriber.responses.items() if known.get(key) != now[key]}
        removed = tuple(sorted(set(known) - set(now)))
        if due or not identity:
            issued_at = datetime.now(UTC)
            pair = self._authority.identity(spiffe_id(workload.namespace, subscriber.account), issued_at)
            responses |= identity_files(pair.certificate, pair.key, self._authority.trust_bundle)
            renew_at = issued_at + IDENTITY_LIFETIME / 2
            identity = f"{self._authority.fingerprint}:{int(renew_at.timestamp())}"
        return ConfigUpdate(subscriber.version, base, identity, responses, removed)


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
        problems = tuple(_problem_document(snapshot, problem) for problem in configuration.problems)
        files = configuration.files().items()
        responses = {key: _route(text) if _is_route(key) else from_agent(text) for key, text in files}
        results[workload] = (responses, problems)
    return results


def _problem_document(snapshot: ClusterSnapshot, problem: Problem) -> dict[str, str]:
    """A problem with its object's uid, by which a later object of the same name gets a report of its own."""
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


def _is_route(key: str) -> bool:
    return key.startswith("rds/")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Routes are short, and the same for all workloads and in successive snapshots.
_route = lru_cache(maxsize=4096)(from_agent)
_route_digest = lru_cache(maxsize=4096)(_digest)

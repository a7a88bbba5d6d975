"""Moves Envoy from one configuration to the next without a gap.

A configuration maps resource keys (`lds.json`, `rds/NAME.json`, see `config_source.resource_key`) to
discovery responses as JSON. Groups of them are published in make-before-break order: a resource is in force
before the resources that refer to it, and is removed after them ("Eventual consistency considerations" in
Envoy's description of the xDS protocol).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from smi_reference_mesh.sidecar.xds_server import AckStatus

LISTENERS = "lds.json"
CLUSTERS = "cds.json"
ROOTS = (CLUSTERS, LISTENERS)
_REFERRED_FROM = {"rds": LISTENERS}
_WARMING = "cluster_manager.warming_clusters"
_OPENED = ("listener_manager.listener_create_success", "listener_manager.listener_create_failure")
_REASON_S = 0.5
_STEP_DEADLINE_S = 10.0
_POLL_S = 0.01

Stats = Mapping[str, str]


class Step(NamedTuple):
    """Responses to publish together; with `confirm` the next step waits for Envoy to ack or refuse them.

    `rewarms`: Envoy replaces a cluster, and warms the new one beside the old one.
    """

    responses: Mapping[str, str]
    confirm: bool
    rewarms: bool = False


def plan(old: Mapping[str, str], new: Mapping[str, str]) -> list[Step]:
    """The steps from configuration `old` to configuration `new`."""

    def changed(folder: str, *, known: bool) -> dict[str, str]:
        return {
            key: text
            for key, text in sorted(new.items())
            if key.startswith(folder) and old.get(key) != text and (key in old) is known
        }

    before, after = _cluster_steps(old.get(CLUSTERS), new[CLUSTERS])
    steps = [
        Step(changed("sds/", known=True) | changed("sds/", known=False), confirm=False),
        # No listener refers to these yet; a listener that finds its routes present warms up at once.
        Step(changed("rds/", known=False), confirm=False),
        *before,
        Step(changed("rds/", known=True), confirm=True),
    ]
    if old.get(LISTENERS) != new[LISTENERS]:
        steps.append(Step({LISTENERS: new[LISTENERS]}, confirm=True))
    steps += after
    return [step for step in steps if step.responses]


def _cluster_steps(old: str | None, new: str) -> tuple[list[Step], list[Step]]:
    """The cluster steps before and after the steps of the resources that refer to clusters."""
    if old == new:
        return [], []
    last = Step({CLUSTERS: new}, confirm=True)
    if old is None:
        return [last], []
    had = {cluster["name"]: cluster for cluster in json.loads(old)["resources"]}
    after = json.loads(new)
    wanted = {cluster["name"]: cluster for cluster in after["resources"]}
    leaving = [cluster for name, cluster in had.items() if name not in wanted]
    rewarms = any(name in had and had[name] != cluster for name, cluster in wanted.items())
    if not rewarms and wanted.keys() <= had.keys():
        return [], [last]
    if not leaving:
        return [last._replace(rewarms=rewarms)], []
    version = f"{after['version_info']}+{json.loads(old)['version_info']}"
    both = {**after, "resources": [*after["resources"], *leaving], "version_info": version}
    return [Step({CLUSTERS: json.dumps(both)}, confirm=True, rewarms=rewarms)], [last]


def name_in(text: str) -> str | None:
    """The name of the resource in a response; None for a response without resources."""
    resources = json.loads(text)["resources"]
    name = resources[0].get("name") if resources else None
    return str(name) if name else None


class ResponsePublisher(Protocol):
    """The server that Envoy fetches its configuration from."""

    def publish(self, responses: Mapping[str, str]) -> None: ...

    def withdraw(self, keys: Iterable[str]) -> None: ...

    def ack_status(self, versions: Mapping[str, str], roots: Iterable[str], within_s: float) -> AckStatus: ...


class Rollout:
    """The published configuration, and its changes.

    `stats` reads Envoy's statistics (raising EnvoyGone), `complaints` its standard error since a moment.
    `is_open`: Envoy has opened its first listeners.
    """

    def __init__(
        self, publisher: ResponsePublisher, stats: Callable[[], Stats], complaints: Callable[[float], str]
    ) -> None:
        self._publisher = publisher
        self._stats = stats
        self._complaints = complaints
        self._pause = threading.Event()
        self._current: dict[str, str] = {}
        # The last published response of each root, since roots refer to all other resources.
        self._roots: dict[str, str] = {}
        self._unconfirmed: dict[str, str] = {}
        self.is_open = False

    def apply(
        self, responses: Mapping[str, str], removed: tuple[str, ...] = (), *, whole: bool = False
    ) -> str:
        """Applies a change; with `whole` the responses replace everything except the identity.

        Returns Envoy's refusals, "" for none. Raises EnvoyGone.
        """
        kept = {
            key: text
            for key, text in self._current.items()
            if key not in removed and (key.startswith("sds/") or not whole)
        }
        new = {**kept, **responses}
        problems = [problem for step in plan(self._current, new) if (problem := self._take(step))]
        self._publisher.withdraw(set(self._current) - set(new))
        self._unconfirmed.clear()
        self._current = new
        return "\n".join(problems)

    def _take(self, step: Step) -> str:
        started = time.monotonic()
        self._publisher.publish(step.responses)
        self._unconfirmed |= step.responses
        self._roots |= {key: text for key, text in step.responses.items() if key in ROOTS}
        if not step.confirm:
            return ""
        followed = {key: text for key, text in self._unconfirmed.items() if self._is_followed(key, text)}
        versions = {key: str(json.loads(text)["version_info"]) for key, text in followed.items()}
        ack_status = self._publisher.ack_status(versions, ROOTS, _STEP_DEADLINE_S)
        for key in versions.keys() - ack_status.pending:
            del self._unconfirmed[key]
        # Listeners open even if Envoy refuses their routes, and keep their former routes, or none.
        if LISTENERS in step.responses and LISTENERS not in ack_status.refused and not self.is_open:
            listeners = len(json.loads(step.responses[LISTENERS])["resources"])
            self.is_open = self._is_shown(lambda stats: _opened(stats) >= listeners, started)
        if step.rewarms and CLUSTERS not in ack_status.refused:
            self._is_shown(lambda stats: stats.get(_WARMING, "0") == "0", started)
        return self._problem_text(ack_status, started)

    def _is_followed(self, key: str, text: str) -> bool:
        """Whether Envoy subscribes to a resource: as soon as an acknowledged root refers to it."""
        if key in ROOTS:
            return True
        root = _REFERRED_FROM.get(key.partition("/")[0])
        name = name_in(text)
        return root is not None and name is not None and json.dumps(name) in self._roots.get(root, "")

    def _is_shown(self, condition: Callable[[Stats], bool], started: float) -> bool:
        """Waits until Envoy's statistics satisfy a condition; False at the step's deadline."""
        while not condition(self._stats()):
            if time.monotonic() - started > _STEP_DEADLINE_S:
                return False
            self._pause.wait(_POLL_S)
        return True

    def _problem_text(self, ack_status: AckStatus, started: float) -> str:
        problems = [f"Envoy refused {key}" for key in ack_status.refused]
        if not ack_status.refused:
            problems += [f"Envoy did not take {key}" for key in ack_status.pending]
        if not problems:
            return ""
        # Envoy writes the reason to its standard error, apart from the refusal.
        while not (reason := self._complaints(started)) and time.monotonic() - started < _REASON_S:
            self._pause.wait(_POLL_S)
        return "\n".join([*problems, *([reason] if reason else ())])


def _opened(stats: Stats) -> int:
    """The number of listeners opened so far. Envoy opens the first after all other initialisation."""
    return sum(int(stats.get(name, "0")) for name in _OPENED)

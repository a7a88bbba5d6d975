"""Brings Envoy from one set of configuration files to another without a moment of neither.

The files are offered to Envoy one group after the other. The order is make before break: whatever is referred
to is in force before what refers to it, and is removed after (see "Eventual consistency considerations" in
Envoy's description of the xDS protocol).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from reference.agent.envoy import EnvoyGone

LISTENERS = "lds.json"
CLUSTERS = "cds.json"
_WARMING = ("listener_manager.total_listeners_warming", "cluster_manager.warming_clusters")
_OPENED = ("listener_manager.listener_create_success", "listener_manager.listener_create_failure")
_REFUSAL_S = 0.3
_STEP_DEADLINE_S = 10.0
_POLL_S = 0.01

Stats = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """Files to offer together; with `confirm` Envoy takes (or refuses) them before the next step."""

    files: Mapping[str, str]
    confirm: bool


def plan(old: Mapping[str, str], new: Mapping[str, str]) -> list[Step]:
    """The steps from the files `old` to the files `new`."""

    def changed(folder: str, *, known: bool) -> dict[str, str]:
        return {
            path: text
            for path, text in sorted(new.items())
            if path.startswith(folder) and old.get(path) != text and (path in old) is known
        }

    steps = [
        Step(changed("sds/", known=True) | changed("sds/", known=False), confirm=False),
        # Not referred to yet; what will refer to them warms up at once when they are there.
        Step(changed("eds/", known=False) | changed("rds/", known=False), confirm=False),
    ]
    clusters_change = old.get(CLUSTERS) != new[CLUSTERS]
    both = _union(old.get(CLUSTERS), new[CLUSTERS]) if clusters_change else new[CLUSTERS]
    if clusters_change:
        steps.append(Step({CLUSTERS: both}, confirm=True))
    steps.append(Step(changed("eds/", known=True), confirm=True))
    steps.append(Step(changed("rds/", known=True), confirm=True))
    if old.get(LISTENERS) != new[LISTENERS]:
        steps.append(Step({LISTENERS: new[LISTENERS]}, confirm=True))
    if both != new[CLUSTERS]:
        steps.append(Step({CLUSTERS: new[CLUSTERS]}, confirm=True))
    return [step for step in steps if step.files]


def _union(old: str | None, new: str) -> str:
    """The clusters of `new` and those that only `old` has; `new` itself when there are none."""
    if old is None:
        return new
    before, after = json.loads(old), json.loads(new)
    names = {cluster["name"] for cluster in after["resources"]}
    leaving = [cluster for cluster in before["resources"] if cluster["name"] not in names]
    if not leaving:
        return new
    merged = {**after, "resources": [*after["resources"], *leaving]}
    merged["version_info"] = f"{after['version_info']}+{before['version_info']}"
    return json.dumps(merged)


def version_stat(path: str, text: str, stats: Stats) -> str | None:
    """The statistic in which Envoy tells the version of a file that it uses; None if it does not use it."""
    if path == LISTENERS:
        return "listener_manager.lds.version_text"
    if path == CLUSTERS:
        return "cluster_manager.cds.version_text"
    document = json.loads(text)
    if not document["resources"]:
        return None
    resource = document["resources"][0]
    if path.startswith("eds/"):
        name = f"cluster.{resource['cluster_name']}.version_text"
        return name if name in stats else None
    ending = f".rds.{resource['name']}.version_text"
    return next((name for name in stats if name.endswith(ending)), None)


class Offer(Protocol):
    """Where Envoy gets files from."""

    def publish(self, files: Mapping[str, str]) -> None: ...

    def withdraw(self, paths: Iterable[str]) -> None: ...


class Rollout:
    """What is on offer, and the way to change it.

    `stats` asks Envoy (raising EnvoyGone), `complaints` what it wrote to its standard error since a moment.
    """

    def __init__(self, offer: Offer, stats: Callable[[], Stats], complaints: Callable[[float], str]) -> None:
        self._offer = offer
        self._stats = stats
        self._complaints = complaints
        self._pause = threading.Event()
        self._current: dict[str, str] = {}

    def apply(self, files: Mapping[str, str], gone: tuple[str, ...] = (), *, whole: bool = False) -> str:
        """Takes over a change; with `whole` the files replace all but the identity.

        Returns what Envoy refused, "" if nothing. Raises EnvoyGone.
        """
        kept = {
            path: text
            for path, text in self._current.items()
            if path not in gone and (path.startswith("sds/") or not whole)
        }
        new = {**kept, **files}
        problems = [problem for step in plan(self._current, new) if (problem := self._take(step))]
        self._offer.withdraw(set(self._current) - set(new))
        self._current = new
        return "\n".join(problems)

    def _take(self, step: Step) -> str:
        if not step.confirm:
            self._offer.publish(step.files)
            return ""
        started = time.monotonic()
        before = self._stats()
        self._offer.publish(step.files)
        expected = {
            stat: json.loads(text)["version_info"]
            for path, text in step.files.items()
            if (stat := version_stat(path, text, before)) is not None
        }
        listeners = len(json.loads(step.files.get(LISTENERS, "{}")).get("resources", ()))
        return self._await(expected, before, started, listeners)

    def _await(self, expected: Mapping[str, str], before: Stats, started: float, listeners: int) -> str:
        while True:
            stats = self._stats()
            passed = time.monotonic() - started
            pending = [stat for stat, version in expected.items() if stats.get(stat) != version]
            # What was refused before is refused again now and then; that says nothing of the new version.
            refused = [
                stat
                for stat in pending
                if passed > _REFUSAL_S and _refusals(stats, stat) > _refusals(before, stat)
            ]
            pending = [stat for stat in pending if stat not in refused]
            late = passed > _STEP_DEADLINE_S
            if late or not (pending or (not refused and _is_warming(stats, listeners))):
                break
            self._pause.wait(_POLL_S)
        problems = [f"Envoy refused {stat.removesuffix('.version_text')}" for stat in refused]
        if late:
            problems += [f"Envoy did not take {stat.removesuffix('.version_text')}" for stat in pending]
        if problems and (reason := self._complaints(started)):
            problems.append(reason)
        return "\n".join(problems)


def _is_warming(stats: Stats, listeners: int) -> bool:
    """Whether something is taken but not in force, or fewer than so many listeners were ever opened.

    The latter matters at the start alone: Envoy's worker opens them after all else is initialised.
    """
    opened = sum(int(stats.get(name, "0")) for name in _OPENED)
    return opened < listeners or any(stats.get(name, "0") != "0" for name in _WARMING)


def _refusals(stats: Stats, version_stat: str) -> int:
    return int(stats.get(version_stat.removesuffix("version_text") + "update_rejected", 0))


def await_admin(stats: Callable[[], Stats], alive: Callable[[], bool], within_s: float = 30.0) -> None:
    """Waits until Envoy answers at all. Raises EnvoyGone when it ended or the time is up."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while True:
        try:
            stats()
        except EnvoyGone:
            if not alive() or time.monotonic() > deadline:
                raise
            pause.wait(_POLL_S)
        else:
            return

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
from typing import NamedTuple, Protocol

from smi_reference_mesh.agent.xds import Fate

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
    """Files to offer together; with `confirm` Envoy takes (or refuses) them before the next step.

    `rewarms`: a cluster that Envoy has is made anew, which it does beside the old one.
    """

    files: Mapping[str, str]
    confirm: bool
    rewarms: bool = False


def plan(old: Mapping[str, str], new: Mapping[str, str]) -> list[Step]:
    """The steps from the files `old` to the files `new`."""

    def changed(folder: str, *, known: bool) -> dict[str, str]:
        return {
            path: text
            for path, text in sorted(new.items())
            if path.startswith(folder) and old.get(path) != text and (path in old) is known
        }

    before, after = _cluster_steps(old.get(CLUSTERS), new[CLUSTERS])
    steps = [
        Step(changed("sds/", known=True) | changed("sds/", known=False), confirm=False),
        # Not referred to yet; what will refer to them warms up at once when they are there.
        Step(changed("rds/", known=False), confirm=False),
        *before,
        Step(changed("rds/", known=True), confirm=True),
    ]
    if old.get(LISTENERS) != new[LISTENERS]:
        steps.append(Step({LISTENERS: new[LISTENERS]}, confirm=True))
    steps += after
    return [step for step in steps if step.files]


def _cluster_steps(old: str | None, new: str) -> tuple[list[Step], list[Step]]:
    """The steps with clusters before and after that with what refers to them."""
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
    """The name by which what is in a file is referred to; None if there is nothing in it."""
    resources = json.loads(text)["resources"]
    name = resources[0].get("name") if resources else None
    return str(name) if name else None


class Offer(Protocol):
    """Where Envoy gets files from."""

    def publish(self, files: Mapping[str, str]) -> None: ...

    def withdraw(self, paths: Iterable[str]) -> None: ...

    def fate(self, versions: Mapping[str, str], roots: Iterable[str], within_s: float) -> Fate: ...


class Rollout:
    """What is on offer, and the way to change it.

    `stats` asks Envoy (raising EnvoyGone), `complaints` what it wrote to its standard error since a moment.
    `is_open` tells whether Envoy's listeners were opened once.
    """

    def __init__(self, offer: Offer, stats: Callable[[], Stats], complaints: Callable[[float], str]) -> None:
        self._offer = offer
        self._stats = stats
        self._complaints = complaints
        self._pause = threading.Event()
        self._current: dict[str, str] = {}
        # What Envoy was last offered of each root, for it is what refers to the other files.
        self._roots: dict[str, str] = {}
        self._unconfirmed: dict[str, str] = {}
        self.is_open = False

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
        self._unconfirmed.clear()
        self._current = new
        return "\n".join(problems)

    def _take(self, step: Step) -> str:
        started = time.monotonic()
        self._offer.publish(step.files)
        self._unconfirmed |= step.files
        self._roots |= {path: text for path, text in step.files.items() if path in ROOTS}
        if not step.confirm:
            return ""
        followed = {path: text for path, text in self._unconfirmed.items() if self._is_followed(path, text)}
        versions = {path: str(json.loads(text)["version_info"]) for path, text in followed.items()}
        fate = self._offer.fate(versions, ROOTS, _STEP_DEADLINE_S)
        for path in versions.keys() - fate.pending:
            del self._unconfirmed[path]
        # Listeners whose routes are refused open as well; the routes are then those of before, or none.
        if LISTENERS in step.files and LISTENERS not in fate.refused and not self.is_open:
            listeners = len(json.loads(step.files[LISTENERS])["resources"])
            self.is_open = self._is_shown(lambda stats: _opened(stats) >= listeners, started)
        if step.rewarms and CLUSTERS not in fate.refused:
            self._is_shown(lambda stats: stats.get(_WARMING, "0") == "0", started)
        return self._told(fate, started)

    def _is_followed(self, path: str, text: str) -> bool:
        """Whether Envoy asks for a file: it does as soon as a root that it took refers to it."""
        if path in ROOTS:
            return True
        root = _REFERRED_FROM.get(path.partition("/")[0])
        name = name_in(text)
        return root is not None and name is not None and json.dumps(name) in self._roots.get(root, "")

    def _is_shown(self, condition: Callable[[Stats], bool], started: float) -> bool:
        """Waits until Envoy's statistics show something; whether they do before the step's time is up."""
        while not condition(self._stats()):
            if time.monotonic() - started > _STEP_DEADLINE_S:
                return False
            self._pause.wait(_POLL_S)
        return True

    def _told(self, fate: Fate, started: float) -> str:
        problems = [f"Envoy refused {path}" for path in fate.refused]
        if not fate.refused:
            problems += [f"Envoy did not take {path}" for path in fate.pending]
        if not problems:
            return ""
        # It arrives by another way than the refusal.
        while not (reason := self._complaints(started)) and time.monotonic() - started < _REASON_S:
            self._pause.wait(_POLL_S)
        return "\n".join([*problems, *([reason] if reason else ())])


def _opened(stats: Stats) -> int:
    """How many listeners were opened so far. Envoy's worker opens the first when all else is initialised."""
    return sum(int(stats.get(name, "0")) for name in _OPENED)

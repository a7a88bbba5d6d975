"""Faults of changes: edits and deletions that are lost or late, and late backends."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.faults.building_blocks import AsFirstSeen, FaultySnapshot, every, with_routes
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import DefaultHooks, EditedConfiguration
from smi_reference_mesh.kube.objects import Object, Workload, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts

_A_MOMENT_S = 0.3
_A_WHILE_S = 1.0
"""The delay of an edit; the longer one exceeds the time that a busy machine takes to poll and draw a sample.
"""
_QUIET_S = 1.5
"""A period without requests; exceeds a poll's pause and the delay of a sidecar's reports."""
_TURNS = 3
"""The number of switches between services after which a split's former state returns."""
_HOLDS_S, _BACK_S = 0.15, 0.1
"""The time that the new state holds before the old one returns, and that the old one lasts.

Both start when all sidecars have acknowledged the state.
"""


class _NeverForgotten(FaultySnapshot):
    """Keeps splits after their deletion."""

    def __init__(self) -> None:
        super().__init__(self._all)
        self._seen: dict[tuple[str, str], Object] = {}

    def _all(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        for split in snapshot.of("trafficsplits"):
            self._seen[namespace_of(split), name_of(split)] = split
        return snapshot.replacing("trafficsplits", self._seen.values())


class _FormerRootsKept(FaultySnapshot):
    """Keeps a split's former root divided until the split's deletion."""

    def __init__(self) -> None:
        super().__init__(self._all)
        self._seen: dict[str, dict[str, Object]] = {}

    def _all(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        there: dict[str, dict[str, Object]] = {}
        for split in snapshot.of("trafficsplits"):
            uid, root = split["metadata"]["uid"], split["spec"]["service"]
            # Under a name of its own: of several objects of one name the compiler takes the last.
            kept = {**split, "metadata": {**split["metadata"], "name": f"{name_of(split)}-{root}"}}
            there[uid] = {**self._seen.get(uid, {}), root: kept}
        self._seen = there
        return snapshot.replacing(
            "trafficsplits", [one for roots in there.values() for one in roots.values()]
        )


class _TakenUpWhenQuiet(DefaultHooks):
    """Applies changes of splits only after a while without requests from the pods of their namespaces."""

    def __init__(self) -> None:
        self._shown: tuple[Object, ...] | None = None
        self._wanted: tuple[Object, ...] = ()
        self._snapshots: tuple[object, object, ClusterSnapshot] | None = None

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        self._wanted = tuple(snapshot.of("trafficsplits"))
        if self._shown is None:
            self._shown = self._wanted
        # Equal snapshots must stay identical: values derived from them are cached by identity.
        if (
            self._snapshots is None
            or self._snapshots[0] is not snapshot
            or self._snapshots[1] is not self._shown
        ):
            self._snapshots = (snapshot, self._shown, snapshot.replacing("trafficsplits", self._shown))
        return self._snapshots[2]

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        if self._shown == self._wanted:
            return False
        spaces = {namespace_of(split) for split in (*self._wanted, *(self._shown or ()))}
        called = counts.totals(_QUIET_S)
        if any(stream.direction == "out" and stream.pod.namespace in spaces for stream in called):
            return False
        self._shown = self._wanted
        return True


class _GoesWithAnother(FaultySnapshot):
    """Removes all splits of a root when one of them is deleted."""

    def __init__(self) -> None:
        super().__init__(self._rest)
        self._roots: dict[str, tuple[str, str]] = {}
        self._wiped: dict[tuple[str, str], set[str]] = {}

    def _rest(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        splits = {one["metadata"]["uid"]: one for one in snapshot.of("trafficsplits")}
        roots = {uid: (namespace_of(one), one["spec"]["service"]) for uid, one in splits.items()}
        for uid in self._roots.keys() - splits.keys():
            root = self._roots[uid]
            self._wiped.setdefault(root, set()).update(other for other in roots if roots[other] == root)
        self._roots = roots
        kept = [one for uid, one in splits.items() if uid not in self._wiped.get(roots[uid], ())]
        return snapshot.replacing("trafficsplits", kept)


class _FallsWithFormerBackends(FaultySnapshot):
    """Drops a split when one of its former backends is deleted."""

    def __init__(self) -> None:
        super().__init__(self._whole)
        self._named: dict[str, set[str]] = {}

    def _whole(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        services = {(namespace_of(service), name_of(service)) for service in snapshot.of("services")}
        kept = []
        for split in snapshot.of("trafficsplits"):
            there = {one["service"] for one in split["spec"]["backends"]}
            there = {name for name in there if (namespace_of(split), name) in services}
            named = self._named.setdefault(split["metadata"]["uid"], set())
            named |= there
            if all((namespace_of(split), name) in services for name in named):
                kept.append(split)
        return snapshot.replacing("trafficsplits", kept)


def _only_if_complete(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    services = {(namespace_of(service), name_of(service)) for service in snapshot.of("services")}
    kept = [
        split
        for split in snapshot.of("trafficsplits")
        if all((namespace_of(split), one["service"]) in services for one in split["spec"]["backends"])
    ]
    return snapshot.replacing("trafficsplits", kept)


def _nothing_at_first(split: Object) -> list[Object]:
    return []


def _everything_to_the_last(split: Object) -> list[Object]:
    copied: dict[str, Any] = copy.deepcopy(dict(split))
    backends = copied["spec"]["backends"]
    for backend in backends[:-1]:
        backend["weight"] = 0
    return [copied]


def _zero_refused(
    configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
) -> Configuration:
    """Routes over a backend of weight 0 sum up to 0, which Envoy refuses: the earlier routes stay."""

    def empty(name: str, routes: JSON) -> None:
        for holder in every(routes, "weighted_clusters"):
            clusters = holder["weighted_clusters"]["clusters"]
            if any(cluster["weight"] == 0 for cluster in clusters):
                for cluster in clusters:
                    cluster["weight"] = 0

    return with_routes(configuration, "outbound|", empty)


class _EditsOnTheirWay(DefaultHooks):
    """For a moment after each edit of a split, replaces the split."""

    def __init__(self, meanwhile: Callable[[Object], list[Object]], seconds: float) -> None:
        self._meanwhile = meanwhile
        self._seconds = seconds
        self._spec: dict[str, object] = {}
        self._edited_at: dict[str, float] = {}

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        now = time.monotonic()
        over = [uid for uid, at in self._edited_at.items() if now - at > self._seconds]
        for uid in over:
            del self._edited_at[uid]
        return bool(over)

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        shown: list[Object] = []
        for split in snapshot.of("trafficsplits"):
            uid, spec = split["metadata"]["uid"], split["spec"]
            if self._spec.setdefault(uid, spec) != spec:
                self._spec[uid], self._edited_at[uid] = spec, time.monotonic()
            shown += self._meanwhile(split) if uid in self._edited_at else [split]
        return snapshot.replacing("trafficsplits", shown)


class _OldComesBack(DefaultHooks):
    """After a few switches of a split between services, restores the former state once more."""

    def __init__(self) -> None:
        self._spec: dict[str, dict[str, Any]] = {}
        self._former: dict[str, dict[str, Any]] = {}
        self._turns: dict[str, int] = {}
        # None until every sidecar has acknowledged the last state.
        self._since: dict[str, float | None] = {}
        self._back: set[str] = set()

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        if not settled:
            return False
        now, again = time.monotonic(), False
        for uid, since in list(self._since.items()):
            if since is None:
                self._since[uid] = now
            elif uid in self._back and now - since >= _BACK_S:
                self._back.remove(uid)
                del self._since[uid]
                again = True
            elif uid not in self._back and now - since >= _HOLDS_S:
                self._back.add(uid)
                self._since[uid] = None
                again = True
        return again

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        return snapshot.replacing(
            "trafficsplits", [self._shown(split) for split in snapshot.of("trafficsplits")]
        )

    def _shown(self, split: Object) -> Object:
        uid, spec = split["metadata"]["uid"], split["spec"]
        before = self._spec.setdefault(uid, spec)
        if spec != before:
            self._spec[uid], self._former[uid] = spec, before
            self._back.discard(uid)
            self._since.pop(uid, None)
            if _all_to(before) and _all_to(spec) and _all_to(before) != _all_to(spec):
                self._turns[uid] = self._turns.get(uid, 0) + 1
                if self._turns[uid] >= _TURNS:
                    self._since[uid] = None
        return {**split, "spec": self._former[uid]} if uid in self._back else split


def _all_to(spec: dict[str, Any]) -> str:
    """The only service of a split; empty for several or none."""
    backends = spec.get("backends") or []
    return str(backends[0]["service"]) if len(backends) == 1 else ""


FAULTS = (
    Fault(
        id="split-changes-wait-for-quiet",
        summary="A split is taken up or changed only once nobody has called for a while",
        breaks=frozenset({"common-dynamic-reconfiguration"}),
        hooks=_TakenUpWhenQuiet,
        late_changes=True,
    ),
    Fault(
        "split-zero-weight-refused",
        "The routes of a split with a weight of 0 are such that its clients refuse them.",
        frozenset({"split-backend-precreated-zero", "split-zero-weight-gets-nothing"}),
        lambda: EditedConfiguration(_zero_refused),
        real_defects=("zero-weight-backend-rejects-route-config",),
    ),
    Fault(
        "split-edits-ignored",
        "A split stays as it was when it was created.",
        frozenset({"common-dynamic-reconfiguration", "split-live-edits"}),
        lambda: AsFirstSeen("trafficsplits"),
    ),
    Fault(
        "split-deletion-ignored",
        "A deleted split stays in force.",
        frozenset({"common-dynamic-reconfiguration", "split-delete-restores-root"}),
        _NeverForgotten,
    ),
    Fault(
        "split-former-roots-kept",
        "A root that a split was moved away from stays divided.",
        frozenset({"common-dynamic-reconfiguration"}),
        _FormerRootsKept,
        real_defects=("moved-or-twin-split-leaves-stale-override",),
    ),
    Fault(
        "split-goes-with-another",
        "When one of two splits of a root is deleted, the other goes as well.",
        frozenset({"common-dynamic-reconfiguration"}),
        _GoesWithAnother,
        real_defects=("moved-or-twin-split-leaves-stale-override",),
    ),
    Fault(
        "split-dropped-for-a-missing-backend",
        "A split one of whose backends does not exist yet has no effect.",
        frozenset({"split-backend-precreated-zero"}),
        lambda: FaultySnapshot(_only_if_complete),
        real_defects=("one-odd-object-stalls-everything",),
    ),
    Fault(
        "split-falls-with-a-former-backend",
        "A split is dropped when a service goes that it named once and names no longer.",
        frozenset({"split-live-edits"}),
        _FallsWithFormerBackends,
    ),
    Fault(
        "split-edits-remove-first",
        "An edited split is gone for a moment before its new weights hold.",
        frozenset({"interact-canary-rollout"}),
        lambda: _EditsOnTheirWay(_nothing_at_first, _A_MOMENT_S),
    ),
    Fault(
        "split-edits-overshoot",
        "After an edit everything goes to the last backend for a moment.",
        frozenset({"split-live-edits"}),
        lambda: _EditsOnTheirWay(_everything_to_the_last, _A_WHILE_S),
    ),
    Fault(
        "split-old-state-comes-back",
        "From the third turn of a split to another service on, its former state comes back once more.",
        frozenset(),
        _OldComesBack,
        expected_readings={"common-convergence-time": "when an edit of a split is in force: unacceptable"},
    ),
)

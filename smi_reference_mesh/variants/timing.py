"""Variants of convergence: soon, late, at a different time for each proxy, or with everything replaced."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import replace

from smi_reference_mesh.compiler import compile as compile_
from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.hooks import DefaultHooks, EditedConfiguration
from smi_reference_mesh.kube.objects import Object, Workload
from smi_reference_mesh.kube.snapshot import KINDS, ClusterSnapshot
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts
from smi_reference_mesh.variants.building_blocks import EditedParts, Together
from smi_reference_mesh.variants.variant import EDITS, ROLLOUT, Variant

POLICIES = tuple(kind.plural for kind in KINDS if kind.group.endswith("smi-spec.io"))
"""The kinds of objects that configure the mesh."""
ENDPOINTS = ("endpointslices",)

_Shown = dict[str, tuple[Object, ...]]


class Late(DefaultHooks):
    """Delays changes of objects of some kinds."""

    def __init__(
        self, seconds: float, kinds: tuple[str, ...] = POLICIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._kinds = kinds
        self._clock = clock
        self._seen: list[tuple[float, _Shown]] = []
        self._made: tuple[ClusterSnapshot, _Shown, ClusterSnapshot] | None = None
        # Snapshots are requested from another thread than the one that observes.
        self._lock = threading.Lock()

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        now = self._clock()
        present = {kind: snapshot.of(kind) for kind in self._kinds}
        with self._lock:
            if not self._seen or not _same(self._seen[-1][1], present):
                # The initial objects are not delayed.
                self._seen.append((now if self._seen else now - self._seconds, present))
            self._forget(now)
            return self._with(snapshot, self._seen[0][1])

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        with self._lock:
            before = self._seen[0] if self._seen else None
            self._forget(self._clock())
            return bool(self._seen) and self._seen[0] is not before

    def _forget(self, now: float) -> None:
        while len(self._seen) > 1 and now - self._seen[1][0] >= self._seconds:
            self._seen.pop(0)

    def _with(self, snapshot: ClusterSnapshot, shown: _Shown) -> ClusterSnapshot:
        if self._made is None or self._made[0] is not snapshot or self._made[1] is not shown:
            made = snapshot
            for kind, objects in shown.items():
                # An unserved kind differs from one without objects.
                if snapshot.of(kind) is not objects and kind in snapshot.objects:
                    made = made.replacing(kind, objects)
            self._made = (snapshot, shown, made)
        return self._made[2]


def _same(one: _Shown, other: _Shown) -> bool:
    return all(one[kind] is other[kind] or one[kind] == other[kind] for kind in one)


class EachAtAnotherTime(DefaultHooks):
    """Delays changes differently for each workload: not at all for some, by these seconds for others."""

    def __init__(self, *seconds: float) -> None:
        self._late = [Late(each) for each in seconds]
        self._shown: tuple[ClusterSnapshot | None, list[ClusterSnapshot]] = (None, [])

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        self._shown = (snapshot, [each.snapshot(snapshot) for each in self._late])
        return snapshot

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        known, shown = self._shown
        if known is not snapshot:
            return configuration
        which = zlib.crc32(f"{workload.namespace}/{workload.name}".encode()) % (len(shown) + 1)
        # The last group has no delay.
        return configuration if which == len(shown) else compile_(shown[which], workload)

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        due = [each.observe(counts, settled=settled) for each in self._late]
        return any(due)


def _numbered(configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload) -> Configuration:
    """Marks listeners and clusters with a checksum of the configuration, so that each change replaces all."""
    files = configuration.files()
    number = zlib.crc32("".join(files[path] for path in sorted(files)).encode())
    mark = {"filter_metadata": {"smi.generation": {"number": number}}}
    return replace(
        configuration,
        listeners=tuple({**listener, "metadata": mark} for listener in configuration.listeners),
        clusters=tuple({**cluster, "metadata": mark} for cluster in configuration.clusters),
    )


def _tries_again(routes: JSON) -> None:
    if routes["name"].startswith("outbound|"):
        for host in routes["virtual_hosts"]:
            host["retry_policy"] = {
                "retry_on": "connect-failure,refused-stream,reset-before-request",
                "num_retries": 3,
            }


_SOME = EDITS | {"traffic_access/test_revoke.py", "traffic_access/test_union.py"}

VARIANTS = (
    Variant(
        "changes-after-a-tenth",
        "Changes reach the proxies after a tenth of a second.",
        _SOME | {"traffic_split/test_live_edits.py"},
        lambda: Late(0.1),
    ),
    Variant(
        "changes-after-three-seconds",
        "Changes reach the proxies after three seconds.",
        _SOME,
        lambda: Late(3.0),
        profile={"converge": {"within_s": 15}},
        real_meshes=("Open Service Mesh",),
    ),
    Variant(
        "changes-after-twelve-seconds",
        "Changes reach the proxies after twelve seconds.",
        frozenset({"traffic_split/test_delete.py", "traffic_access/test_sources.py"}),
        lambda: Late(12.0),
        profile={"converge": {"within_s": 30}},
    ),
    Variant(
        "changes-reach-each-proxy-at-another-time",
        "Changes reach some proxies at once, others after half a second or after two.",
        _SOME | ROLLOUT,
        lambda: EachAtAnotherTime(0.5, 2.0),
    ),
    Variant(
        "everything-replaced-at-each-change",
        "Each change replaces all listeners and clusters, and ends the connections of the old ones.",
        _SOME | ROLLOUT,
        lambda: EditedConfiguration(_numbered),
    ),
    Variant(
        "endpoints-late-with-retries",
        "Changes of endpoints reach proxies after a second; proxies retry failed connections.",
        ROLLOUT,
        lambda: Together(Late(1.0, ENDPOINTS), EditedParts(routes=_tries_again)),
    ),
)

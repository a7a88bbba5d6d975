"""Building blocks of variants: spoilers made of small edits, and several of them together."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from smi_reference_mesh.compiler.configuration import JSON, Configuration
from smi_reference_mesh.hooks import AccessReview, DefaultHooks, MeshHooks, MetricsQuery
from smi_reference_mesh.kube.objects import Object, Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.metrics.traffic_metrics import MetricsSnapshot
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts

Edit = Callable[[JSON], None]
_KEPT = 4096
"""Edited resources that are remembered: the outbound half is shared by all workloads of a world."""


class _Edited:
    """An edit of resources, in copies; one that was edited before is the same again."""

    def __init__(self, edit: Edit) -> None:
        self._edit = edit
        self._known: OrderedDict[int, tuple[JSON, JSON]] = OrderedDict()

    def __call__(self, resource: JSON) -> JSON:
        # Held on to, so that its identity is not given to another.
        before, after = self._known.get(id(resource), ({}, {}))
        if before is not resource:
            after = copy.deepcopy(resource)
            self._edit(after)
            self._known[id(resource)] = (resource, after)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return after


def _nothing(_: JSON) -> None:
    return


class EditedParts(DefaultHooks):
    """Edits each listener, cluster and route configuration by itself, whoever it is for."""

    def __init__(
        self, *, listener: Edit = _nothing, cluster: Edit = _nothing, routes: Edit = _nothing
    ) -> None:
        self._listener, self._cluster, self._routes = map(_Edited, (listener, cluster, routes))

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        return replace(
            configuration,
            listeners=tuple(map(self._listener, configuration.listeners)),
            clusters=tuple(map(self._cluster, configuration.clusters)),
            routes={name: self._routes(one) for name, one in configuration.routes.items()},
        )


class EditedConfiguration(DefaultHooks):
    """Edits a whole configuration, with regard to the world and the workload."""

    def __init__(self, edit: Callable[[Configuration, ClusterSnapshot, Workload], Configuration]) -> None:
        self._edit = edit

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        return self._edit(configuration, snapshot, workload)


class Together(DefaultHooks):
    """Several variants at once, one after the other.

    What one makes of a configuration it makes of the world that all of them show: some compile anew.
    """

    def __init__(self, *parts: MeshHooks) -> None:
        self._parts: Sequence[MeshHooks] = parts
        self._shown: tuple[ClusterSnapshot | None, ClusterSnapshot] = (None, ClusterSnapshot())

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        shown = snapshot
        for part in self._parts:
            shown = part.snapshot(shown)
        self._shown = (snapshot, shown)
        return shown

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        truth, shown = self._shown
        if truth is not snapshot:
            shown = self.snapshot(snapshot)
        for part in self._parts:
            configuration = part.configuration(configuration, shown, workload)
        return configuration

    def withholds(self, snapshot: ClusterSnapshot, workload: Workload) -> bool:
        return any(part.withholds(snapshot, workload) for part in self._parts)

    def metrics_snapshot(self, metrics_snapshot: MetricsSnapshot, counts: WindowedCounts) -> MetricsSnapshot:
        for part in self._parts:
            metrics_snapshot = part.metrics_snapshot(metrics_snapshot, counts)
        return metrics_snapshot

    def metrics(self, document: dict[str, Any], query: MetricsQuery) -> dict[str, Any]:
        for part in self._parts:
            document = part.metrics(document, query)
        return document

    def allows(self, decision: bool, access: AccessReview) -> bool:
        for part in self._parts:
            decision = part.allows(decision, access)
        return decision

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        for part in self._parts:
            item = part.converted(item, source)
        return item

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        # Each is to see every moment.
        again = [part.observe(counts, settled=settled) for part in self._parts]
        return any(again)

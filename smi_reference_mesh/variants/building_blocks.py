"""Building blocks of variants: hooks made of small edits, and combinations of several."""

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
"""The number of edited resources to cache; all workloads of a snapshot share the outbound half."""


class _Edited:
    """An edit of copies of resources; returns the identical result for an identical resource."""

    def __init__(self, edit: Edit) -> None:
        self._edit = edit
        self._known: OrderedDict[int, tuple[JSON, JSON]] = OrderedDict()

    def __call__(self, resource: JSON) -> JSON:
        # References the resource, so that its id is not reused.
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
    """Edits each listener, cluster and route configuration by itself, for all workloads alike."""

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


class Together(DefaultHooks):
    """Combines several variants, in sequence.

    Each edits configurations with regard to the snapshot that all of them produce: some compile again.
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
        # Each must observe every moment.
        again = [part.observe(counts, settled=settled) for part in self._parts]
        return any(again)

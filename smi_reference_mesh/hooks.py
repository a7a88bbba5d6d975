"""The hooks by which a fault or a variant changes the reference mesh; the control plane calls them.

Each hook of `DefaultHooks` is the identity. The rest of the mesh knows only this protocol; faults are in
`smi_reference_mesh.faults`, variants in `smi_reference_mesh.variants`, and
`smi_reference_mesh.control_plane.fault_loading` loads them by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.kube.objects import Object, Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.metrics.traffic_metrics import MetricsSnapshot
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts


@dataclass(frozen=True, slots=True)
class MetricsQuery:
    """A request to the metrics API. All fields except the path are empty for discovery documents."""

    path: str
    plural: str = ""
    namespace: str = ""
    name: str = ""
    edges: bool = False
    selector: str = ""


@dataclass(frozen=True, slots=True)
class AccessReview:
    """A user and its query, as submitted to the API server for authorization."""

    user: str
    groups: tuple[str, ...]
    query: MetricsQuery


class MeshHooks(Protocol):
    """Changes the mesh so that it breaks requirements, or fulfils them differently."""

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        """The compiler's input in place of the cluster's snapshot."""

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        """A workload's configuration in place of the compiled one; `snapshot` is the cluster's own."""

    def withholds(self, snapshot: ClusterSnapshot, workload: Workload) -> bool:
        """Whether to withhold a workload's configuration, without which its pod does not become ready."""

    def metrics_snapshot(self, metrics_snapshot: MetricsSnapshot, counts: WindowedCounts) -> MetricsSnapshot:
        """The input of the metrics API in place of the present counts."""

    def metrics(self, document: dict[str, Any], query: MetricsQuery) -> dict[str, Any]:
        """The response of the metrics API in place of `document`."""

    def allows(self, decision: bool, access: AccessReview) -> bool:
        """The authorization in place of the API server's decision."""

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        """The conversion's result in place of `item`, which was converted from `source`."""

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        """Called many times a second; whether to compile all configurations again.

        `settled`: every sidecar has acknowledged its current configuration.
        """


class DefaultHooks:
    """Neither fault nor variant: every hook is the identity."""

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        return snapshot

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        return configuration

    def withholds(self, snapshot: ClusterSnapshot, workload: Workload) -> bool:
        return False

    def metrics_snapshot(self, metrics_snapshot: MetricsSnapshot, counts: WindowedCounts) -> MetricsSnapshot:
        return metrics_snapshot

    def metrics(self, document: dict[str, Any], query: MetricsQuery) -> dict[str, Any]:
        return document

    def allows(self, decision: bool, access: AccessReview) -> bool:
        return decision

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        return item

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        return False


class EditedConfiguration(DefaultHooks):
    """Gives a workload an edited configuration; the function must not change its argument in place."""

    def __init__(self, edit: Callable[[Configuration, ClusterSnapshot, Workload], Configuration]) -> None:
        self._edit = edit

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        return self._edit(configuration, snapshot, workload)

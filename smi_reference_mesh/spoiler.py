"""Where a fault or a variant takes hold of the reference mesh: the hooks that the control plane calls.

Every hook of the identity, `Faithful`, hands back what it was given. Production code knows no other than this
protocol; faults live in `smi_reference_mesh.faults`, variants in `smi_reference_mesh.variants`, and
`smi_reference_mesh.spoiling` loads them by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.kube.objects import Object, Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.metrics.traffic_metrics import MetricsSnapshot
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts


@dataclass(frozen=True, slots=True)
class MetricsQuery:
    """A request to the metrics API: what was asked. All fields are empty for discovery documents."""

    path: str
    plural: str = ""
    namespace: str = ""
    name: str = ""
    edges: bool = False
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks for what, as put to the API server for a decision."""

    user: str
    groups: tuple[str, ...]
    query: MetricsQuery


class Spoiler(Protocol):
    """A way to make the mesh break its promises, or keep them in another way."""

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        """What the compiler is shown in place of the world."""

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        """What a workload is given in place of its configuration; `snapshot` is the unspoilt one."""

    def withholds(self, snapshot: ClusterSnapshot, workload: Workload) -> bool:
        """Whether a workload is given nothing yet; its pod does not get ready before it is."""

    def metrics_snapshot(self, metrics_snapshot: MetricsSnapshot, counts: WindowedCounts) -> MetricsSnapshot:
        """What the metrics API answers from in place of the figures of this moment."""

    def metrics(self, document: dict[str, Any], query: MetricsQuery) -> dict[str, Any]:
        """What a client of the metrics API is answered in place of `document`."""

    def allows(self, decision: bool, access: Access) -> bool:
        """What is done in place of the API server's decision."""

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        """What the API server is given in place of an object that was converted from ``source``."""

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        """Called many times a second; whether configurations are to be compiled anew.

        ``settled``: whether every sidecar has taken what there is for it.
        """


class Faithful:
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

    def allows(self, decision: bool, access: Access) -> bool:
        return decision

    def converted(self, item: dict[str, Any], source: Object) -> dict[str, Any]:
        return item

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        return False

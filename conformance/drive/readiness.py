"""Readiness of the pods in a run's namespaces, and the reasons of pods that do not get ready."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import Any

from conformance.clusters import Cluster, ClusterError, Object
from conformance.drive.manifests import RUN_LABEL, WORKLOAD_ANNOTATION
from conformance.drive.podstates import is_ready, is_stuck, not_ready_reason, unschedulable_reason
from conformance.drive.wait import Clock

UNSCHEDULED_S = 60.0
"""Seconds for which a pod may stay unschedulable, since the cluster may be adding nodes.

The reason is reported from the first moment."""
REFUSED_S = 10.0
"""Seconds for which the pods of a Deployment may be refused, as a quota may count terminating pods."""

_REMEDIES = {
    "Image": "--image names another image for the workloads",
    "untolerated taint": "--toleration names a taint that the workloads tolerate",
    "node affinity/selector": "--node-selector names a label that the nodes have",
}
"""Part of a pod's reason → remedy."""


class NotReady(ClusterError):
    """The sample workloads did not get ready, or did not join the mesh."""


@dataclass(slots=True)
class PodReadiness:
    """Reads the pods of a run by namespace, and gives up on pods that cannot get ready.

    ``expected`` are, in every method, the names of the workloads that the namespace must have.
    """

    cluster: Cluster
    run: str
    clock: Clock
    _unschedulable_since: dict[str, float] = field(default_factory=dict)
    """Namespace → the time since when a pod of it is unschedulable."""
    _refused_since: dict[str, float] = field(default_factory=dict)
    """Namespace → the time since when the API server is known to refuse pods of a Deployment there."""
    _reasons: dict[str, str] = field(default_factory=dict)
    """Namespace → why a pod there is not ready, as of the last look."""

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """The pods of a namespace that are not being deleted."""
        pods = self.cluster.list("v1", "Pod", namespace, labels=f"{RUN_LABEL}={self.run}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def ready_pods(self, namespace: str, expected: Set[str]) -> list[dict[str, Any]] | None:
        """The pods of a namespace once all are ready, else None. Raises NotReady if a pod cannot get ready.

        An unschedulable pod is given up only after `UNSCHEDULED_S`: a node may be about to have room. That
        time is common to all namespaces.
        """
        pods = self.pods(namespace)
        if expected <= _workloads(pods) and all(map(is_ready, pods)):
            return pods
        unready = [pod for pod in pods if not is_ready(pod)]
        unschedulable = any(map(unschedulable_reason, unready))
        now = self.clock.now()
        if unschedulable:
            self._unschedulable_since.setdefault(namespace, now)
        else:
            self._unschedulable_since.pop(namespace, None)
        since = min(self._unschedulable_since.values(), default=now)
        refusals = self._refusals(namespace, expected, pods)
        if refusals:
            refused_since = self._refused_since.setdefault(namespace, now)
        else:
            refused_since = self._refused_since.pop(namespace, now)
        self._reasons[namespace] = next(map(not_ready_reason, unready), "; ".join(refusals))
        never = any(map(is_stuck, unready)) or (refusals and now - refused_since >= REFUSED_S)
        if never or (unschedulable and now - since >= UNSCHEDULED_S):
            raise NotReady(f"pods of {namespace} do not get ready; {self.describe(namespace, expected)}")
        return None

    def reason(self, namespace: str) -> str:
        """Why a pod of a namespace was not ready at the last look; empty if unknown."""
        return self._reasons.get(namespace, "")

    def describe(self, namespace: str, expected: Set[str]) -> str:
        """Why the pods of a namespace are not ready, and remedies."""
        pods = self.pods(namespace)
        names: dict[str, list[str]] = {}
        for pod in pods:
            if not is_ready(pod):
                names.setdefault(not_ready_reason(pod), []).append(pod["metadata"]["name"])
        problems = [
            f"{'pods' if len(group) > 1 else 'pod'} {', '.join(group)}: {why}" for why, group in names.items()
        ]
        problems += self._refusals(namespace, expected, pods)
        problems += [remedy for part, remedy in _REMEDIES.items() if any(part in why for why in names)]
        return "; ".join(problems) or f"no pods were created: see `kubectl get events -n {namespace}`"

    def _refusals(self, namespace: str, expected: Set[str], pods: Iterable[Object]) -> list[str]:
        """Why the API server refused pods of a Deployment, from the Events of its controller."""
        if expected <= _workloads(pods):
            return []
        events = self.cluster.list("v1", "Event", namespace)
        messages = (
            str(one.get("message", ""))[:300] for one in events if one.get("reason") == "FailedCreate"
        )
        return list(dict.fromkeys(messages))[:1]


def _workloads(pods: Iterable[Object]) -> set[str]:
    return {pod["metadata"]["annotations"].get(WORKLOAD_ANNOTATION) for pod in pods}

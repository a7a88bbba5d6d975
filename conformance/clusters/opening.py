"""Which cluster a command works on, from what was typed."""

from __future__ import annotations

from conformance.clusters import Cluster
from conformance.clusters.kubernetes import KubernetesCluster


def open_cluster(context: str | None, kubeconfig: str | None) -> Cluster:
    """The cluster that a context of a kubeconfig names. Raises ClusterError."""
    return KubernetesCluster(context, kubeconfig)

"""Which cluster a command works on, from what was typed."""

from __future__ import annotations

import sys

from conformance.clusters import Cluster, ClusterError, embedded
from conformance.clusters.kubernetes import KubernetesCluster

UNVERIFIED = "the certificate of the API server is not verified (insecure-skip-tls-verify in the kubeconfig)"


def is_embedded(context: str | None, kubeconfig: str | None) -> bool:
    """Whether the embedded cluster is meant: whoever means another one names it."""
    return context is None and kubeconfig is None


def open_cluster(context: str | None, kubeconfig: str | None, mesh: str) -> Cluster:
    """The cluster that a context of a kubeconfig names, or a new embedded one with a mesh in it.

    Whoever opens it closes it. Raises ClusterError.
    """
    if is_embedded(context, kubeconfig):
        return embedded.start(mesh)
    cluster = KubernetesCluster.named(context, kubeconfig)
    if cluster.unverified:
        print(f"warning: {UNVERIFIED}", file=sys.stderr)
    return cluster


def named(context: str | None, kubeconfig: str | None) -> Cluster:
    """The cluster that a context names, the current one by default. Raises ClusterError."""
    return KubernetesCluster.named(context, kubeconfig)


def check(context: str | None, kubeconfig: str | None, mesh: str) -> None:
    """Raises ClusterError, with the remedy, where there is no such cluster; makes nothing."""
    if is_embedded(context, kubeconfig):
        problem = embedded.problem(mesh)
    else:
        problem = _unreachable(KubernetesCluster.named(context, kubeconfig))
    if problem:
        raise ClusterError(problem)


def _unreachable(cluster: KubernetesCluster) -> str:
    try:
        answer = cluster.request("GET", "/version")
    finally:
        cluster.close()
    return (
        f"the API server answers HTTP {answer.status}; check your credentials" if answer.status >= 400 else ""
    )

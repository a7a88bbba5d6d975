"""Selects the cluster of a command, from its options and its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conformance.clusters import Cluster, ClusterError, client_configuration
from conformance.clusters.embedded import cluster as embedded
from conformance.clusters.kubernetes import KubernetesCluster

UNVERIFIED = "the certificate of the API server is not verified (insecure-skip-tls-verify in the kubeconfig)"
IN_CLUSTER = "in-cluster"
_SEVERAL_CLUSTERS = "name one cluster: --embedded, --in-cluster, or --context and --kubeconfig"

DefaultCluster = Literal["embedded", "current"]
"""The default cluster: embedded, or the current context of ~/.kube/config."""


@dataclass(frozen=True, slots=True)
class ClusterSelection:
    """The selected cluster; ``source`` is the option or setting that selected it."""

    kind: Literal["embedded", "in-cluster", "kubeconfig"]
    source: str
    context: str | None = None
    kubeconfig: str | None = None

    @property
    def embedded(self) -> bool:
        """Whether the command creates the cluster, which then ends with it."""
        return self.kind == "embedded"


def select(
    context: str | None = None,
    kubeconfig: str | None = None,
    *,
    embedded: bool = False,
    in_cluster: bool = False,
    default: DefaultCluster = "embedded",
    environment: Mapping[str, str] = os.environ,
) -> ClusterSelection:
    """The requested cluster. KUBECONFIG selects a cluster, as with kubectl.

    Raises ClusterError if the options select more than one cluster.
    """
    named = bool(context or kubeconfig)
    if sum((embedded, in_cluster, named)) > 1:
        raise ClusterError(_SEVERAL_CLUSTERS)
    if embedded:
        return ClusterSelection("embedded", "--embedded")
    if in_cluster:
        return ClusterSelection("in-cluster", "--in-cluster")
    if named:
        return ClusterSelection("kubeconfig", "--context" if context else "--kubeconfig", context, kubeconfig)
    if environment.get("KUBECONFIG"):
        return ClusterSelection("kubeconfig", "the current context of KUBECONFIG")
    if (
        client_configuration.in_a_pod(environment)
        and not Path(client_configuration.DEFAULT_KUBECONFIG).expanduser().exists()
    ):
        return ClusterSelection("in-cluster", "this pod's ServiceAccount, as there is no kubeconfig")
    if default == "current":
        return ClusterSelection(
            "kubeconfig", f"the current context of {client_configuration.DEFAULT_KUBECONFIG}"
        )
    return ClusterSelection("embedded", "no --context, and KUBECONFIG is not set")


def open_cluster(selected: ClusterSelection, mesh: str) -> Cluster:
    """Open the selected cluster; creates an embedded cluster, with a mesh in it.

    The caller closes it. Raises ClusterError.
    """
    if selected.embedded:
        return embedded.start(mesh)
    cluster = _connect(selected)
    if cluster.unverified:
        print(f"warning: {UNVERIFIED}", file=sys.stderr)
    return cluster


def placeholder() -> Cluster:
    """A cluster that gets no requests, for dry runs."""
    return KubernetesCluster.at("http://nowhere.invalid", "", "none")


def open_existing(selected: ClusterSelection) -> KubernetesCluster:
    """Open the selected cluster, which must exist already. Raises ClusterError."""
    if selected.embedded:
        raise ClusterError("the embedded cluster ends with the command that made it: --context names another")
    return _connect(selected)


def describe(selected: ClusterSelection) -> str:
    """The selected cluster and its source, in one line. Raises ClusterError if there is no such cluster."""
    if selected.embedded:
        return f"cluster: {embedded.NAME}, made for this command ({selected.source})"
    cluster = _connect(selected)
    cluster.close()
    return f"cluster: {cluster.name} at {cluster.url} ({selected.source})"


def check(selected: ClusterSelection, mesh: str) -> None:
    """Raises ClusterError, with the remedy, if the cluster is unavailable or unreachable; creates nothing."""
    problem = embedded.problem(mesh) if selected.embedded else _unreachable(_connect(selected))
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


def _connect(selected: ClusterSelection) -> KubernetesCluster:
    if selected.kind == "in-cluster":
        return KubernetesCluster(client_configuration.from_service_account(), IN_CLUSTER, "")
    return KubernetesCluster.for_context(selected.context, selected.kubeconfig)

"""Which cluster a command works on, from what was typed and where it was typed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conformance.clusters import Cluster, ClusterError, reaching
from conformance.clusters.embedded import start as embedded
from conformance.clusters.kubernetes import KubernetesCluster

UNVERIFIED = "the certificate of the API server is not verified (insecure-skip-tls-verify in the kubeconfig)"
IN_CLUSTER = "in-cluster"
_ONE = "name one cluster: --embedded, --in-cluster, or --context and --kubeconfig"

Unless = Literal["embedded", "current"]
"""Where nothing names a cluster: the embedded one, or that of the current context of ~/.kube/config."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which cluster is meant, and in ``because`` what says so."""

    kind: Literal["embedded", "in-cluster", "kubeconfig"]
    because: str
    context: str | None = None
    kubeconfig: str | None = None

    @property
    def embedded(self) -> bool:
        """Whether it is made for the command, and ends with it."""
        return self.kind == "embedded"


def chosen(
    context: str | None = None,
    kubeconfig: str | None = None,
    *,
    embedded: bool = False,
    in_cluster: bool = False,
    unless: Unless = "embedded",
    environment: Mapping[str, str] = os.environ,
) -> Where:
    """The cluster that was asked for. Whoever sets KUBECONFIG means that cluster, as with kubectl.

    Raises ClusterError where more than one was asked for.
    """
    named = bool(context or kubeconfig)
    if sum((embedded, in_cluster, named)) > 1:
        raise ClusterError(_ONE)
    if embedded:
        return Where("embedded", "--embedded")
    if in_cluster:
        return Where("in-cluster", "--in-cluster")
    if named:
        return Where("kubeconfig", "--context" if context else "--kubeconfig", context, kubeconfig)
    if environment.get("KUBECONFIG"):
        return Where("kubeconfig", "the current context of KUBECONFIG")
    if reaching.in_a_pod(environment) and not Path(reaching.USUAL).expanduser().exists():
        return Where("in-cluster", "this pod's ServiceAccount, as there is no kubeconfig")
    if unless == "current":
        return Where("kubeconfig", f"the current context of {reaching.USUAL}")
    return Where("embedded", "no --context, and KUBECONFIG is not set")


def open_cluster(where: Where, mesh: str) -> Cluster:
    """The cluster that is meant; the embedded one is made, with a mesh in it.

    Whoever opens it closes it. Raises ClusterError.
    """
    if where.embedded:
        return embedded.start(mesh)
    cluster = _reached(where)
    if cluster.unverified:
        print(f"warning: {UNVERIFIED}", file=sys.stderr)
    return cluster


def nowhere() -> Cluster:
    """A cluster that nothing is asked of, for what is planned and not done."""
    return KubernetesCluster.at("http://nowhere.invalid", "", "none")


def existing(where: Where) -> KubernetesCluster:
    """A cluster that is there without this command. Raises ClusterError."""
    if where.embedded:
        raise ClusterError("the embedded cluster ends with the command that made it: --context names another")
    return _reached(where)


def described(where: Where) -> str:
    """Which cluster is meant and what says so, in a line. Raises ClusterError where there is none such."""
    if where.embedded:
        return f"cluster: {embedded.NAME}, made for this command ({where.because})"
    cluster = _reached(where)
    cluster.close()
    return f"cluster: {cluster.name} at {cluster.url} ({where.because})"


def check(where: Where, mesh: str) -> None:
    """Raises ClusterError, with the remedy, where the cluster cannot be had or reached; makes nothing."""
    problem = embedded.problem(mesh) if where.embedded else _unreachable(_reached(where))
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


def _reached(where: Where) -> KubernetesCluster:
    if where.kind == "in-cluster":
        return KubernetesCluster(reaching.of_this_pod(), IN_CLUSTER, "")
    return KubernetesCluster.named(where.context, where.kubeconfig)

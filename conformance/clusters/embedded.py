"""The embedded cluster as a run uses it: started, with the mesh in it that is to be judged, and ended."""

from __future__ import annotations

from collections.abc import Callable

from conformance.clusters import ClusterError
from conformance.clusters.kubernetes import KubernetesCluster

NAME = "embedded"
MESHES = ("reference", "none")
"""Profiles that it can have the mesh of; others are of meshes that need a real cluster."""
_ELSEWHERE = "--context names a cluster where it is installed"


def problem(mesh: str) -> str:
    """Why a mesh cannot be judged in the embedded cluster on this machine; empty when it can."""
    if mesh not in MESHES:
        return f"the embedded cluster has no mesh but {' and '.join(MESHES)}, not {mesh!r}; {_ELSEWHERE}"
    # Imported late, as what it needs is an extra that need not be installed.
    from conformance.clusters.local.node import preconditions

    return "; ".join(preconditions.problems())


class Embedded(KubernetesCluster):
    """The embedded cluster; `close` ends it with all that is in it."""

    _end: Callable[[], None]

    def close(self) -> None:
        """Close the connections, then the cluster."""
        super().close()
        self._end()


def start(mesh: str) -> Embedded:
    """A new embedded cluster with a mesh. Raises ClusterError."""
    if reason := problem(mesh):
        raise ClusterError(reason)
    from conformance.clusters.local.node import sandbox
    from reference import install

    try:
        running = sandbox.start(name=NAME)
    except sandbox.SandboxError as error:
        raise ClusterError(str(error)) from error
    cluster = Embedded.at(running.url, running.token, NAME)
    cluster._end = running.stop
    try:
        install.install(cluster.api_client(), own_traffic="mark", crds_only=mesh == "none")
    except install.InstallError as error:
        cluster.close()
        raise ClusterError(f"the reference mesh did not come up: {error}") from error
    except BaseException:
        cluster.close()
        raise
    return cluster

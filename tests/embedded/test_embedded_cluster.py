"""The embedded cluster as in a run: node, API server and mesh, from start to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_embedded_node_sandbox import outside

from conformance.clusters import ClusterError, Completed
from conformance.clusters.embedded import cluster as embedded
from conformance.clusters.kubernetes import KubernetesCluster
from conformance.profiles import load
from conformance.run.context import RunContext

pytestmark = pytest.mark.usefixtures("can_start")


def descendants() -> set[int]:
    """All descendants of this process."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found, new = set[int](), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new}
        found |= new
    return found


@contextmanager
def started(mesh: str) -> Iterator[KubernetesCluster]:
    """An embedded cluster; nothing of it is left after the block."""
    before = outside(), descendants()
    cluster = embedded.start(mesh)
    try:
        yield cluster
        inside = descendants() - before[1]
        assert len(inside) >= 2
        assert outside() == before[0]
    finally:
        cluster.close()
    assert (outside(), descendants()) == before
    assert not [pid for pid in inside if Path(f"/proc/{pid}").exists()]


def test_a_cluster_without_a_mesh_runs_the_workloads_of_the_suite_alone() -> None:
    with started("none") as cluster:
        context = RunContext.open(load("none"), cluster, run_id="embedded")
        context.arena.create(["peer"])
        peer = context.arena.pod("peer/peer")
        (pod,) = [
            one for one in cluster.list("v1", "Pod", peer.namespace) if one["metadata"]["name"] == peer.name
        ]
        assert [one["name"] for one in pod["status"]["containerStatuses"]] == ["probe"]
        assert "initContainers" not in pod["spec"]
        kinds = cluster.request("GET", "/apis/split.smi-spec.io/v1alpha4").body["resources"]
        assert "TrafficSplit" in {one["kind"] for one in kinds}
        context.arena.remove()
        assert not cluster.list("v1", "Pod", peer.namespace)


def test_a_cluster_with_the_reference_mesh_lets_the_workloads_of_the_suite_join() -> None:
    with started("reference") as cluster:
        context = RunContext.open(load("reference"), cluster, run_id="embedded")
        context.arena.create(["peer"])
        # Readiness implies that the sidecar exists and has its configuration.
        peer = context.arena.pod("peer/peer")
        (pod,) = [
            one for one in cluster.list("v1", "Pod", peer.namespace) if one["metadata"]["name"] == peer.name
        ]
        assert [one["name"] for one in pod["spec"]["initContainers"]] == ["smi-init", "smi-sidecar"]
        said = cluster.run(peer.namespace, peer.name, "smi-sidecar", ["hostname"], 10)
        assert said == Completed(0, f"{peer.name}\n", "")
        assert cluster.request("GET", "/apis/metrics.smi-spec.io/v1alpha1").status == 200
        assert cluster.logs(peer.namespace, peer.name, "smi-sidecar")
        context.arena.remove()
        assert not cluster.list("v1", "Pod", peer.namespace)


def test_a_cluster_that_ended_by_itself_is_reported() -> None:
    cluster = embedded.start("none")
    try:
        (node, *_) = [pid for pid in cluster.processes() if _is_node(pid)]
        os.kill(node, signal.SIGKILL)
        with pytest.raises(ClusterError, match="the embedded cluster ended by itself: "):
            _ask_on(cluster)
    finally:
        cluster.close()


def _ask_on(cluster: KubernetesCluster) -> None:
    while True:
        cluster.request("GET", "/version")


def _is_node(pid: int) -> bool:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[1:3] == [b"-m", b"conformance.clusters.embedded"]

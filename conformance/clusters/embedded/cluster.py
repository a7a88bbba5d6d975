"""The embedded cluster as a run uses it: started, with the mesh under test in it, and ended."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conformance import profiles
from conformance.catalogue import GROUPS
from conformance.clusters import ClusterError
from conformance.clusters.kubernetes import KubernetesCluster, Received

NAME = "embedded"
MESHES = ("reference", "reference-split", "none")
"""The profiles whose mesh can be installed in it; other meshes need a real cluster."""
_ELSEWHERE = "--context names a cluster where it is installed"


def problem(mesh: str) -> str:
    """Why the embedded cluster cannot run a mesh on this machine; empty if it can."""
    if mesh not in MESHES:
        there = ", ".join(MESHES)
        return f"the embedded cluster has the meshes {there}, not {mesh!r}; {_ELSEWHERE}"
    # A late import: its dependencies are an optional extra.
    from conformance.clusters.embedded.node import preconditions

    return "; ".join(preconditions.problems())


class EmbeddedCluster(KubernetesCluster):
    """The embedded cluster; `close` ends it with everything in it."""

    _end: Callable[[], None]
    _last_words: Callable[[], str]
    _first: int

    def close(self) -> None:
        """Close the connections, then the cluster."""
        super().close()
        self._end()

    def _send(self, *args: Any, **options: Any) -> Received:
        try:
            return super()._send(*args, **options)
        except ClusterError as error:
            if words := self._last_words():
                raise ClusterError(f"the embedded cluster ended by itself: {words}") from error
            raise

    def processes(self) -> list[int]:
        """The ids of all its processes."""
        parents = dict(_parents())
        found = [self._first]
        for known in found:
            found += [pid for pid, parent in parents.items() if parent == known]
        return found


def _parents() -> Iterator[tuple[int, int]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may contain any character.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        yield int(stat.parent.name), int(fields[1])


def start(mesh: str) -> EmbeddedCluster:
    """Start an embedded cluster with a mesh. Raises ClusterError."""
    if reason := problem(mesh):
        raise ClusterError(reason)
    from conformance.clusters.embedded.node import images, sandbox

    with ThreadPoolExecutor(max_workers=1) as beside:
        # While the cluster starts, for as long: the import of the installer, and compiling the mesh's code.
        beside.submit(importlib.import_module, "smi_reference_mesh.install.installer")
        beside.submit(images.prepare)
        try:
            running = sandbox.start()
        except sandbox.SandboxError as error:
            raise ClusterError(str(error)) from error
    from smi_reference_mesh.install import installer

    cluster = EmbeddedCluster.at(running.url, running.token, NAME)
    cluster._end, cluster._last_words = running.stop, running.last_words
    cluster._first = running.process.pid
    try:
        # The definitions of unclaimed groups are not installed.
        claimed = profiles.load(mesh).claims.by_group()
        groups = [GROUPS[group] for group, versions in claimed.items() if versions]
        installer.install(cluster.api_client(), own_traffic="mark", crds_only=mesh == "none", groups=groups)
    except installer.InstallError as error:
        cluster.close()
        raise ClusterError(f"the reference mesh did not come up: {error}") from error
    except BaseException:
        cluster.close()
        raise
    return cluster

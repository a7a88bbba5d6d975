"""The node of the embedded cluster: pods as network namespaces with processes in them.

It creates everything in its process's own namespaces and so must run in a sandbox (sandbox.py), whose end
removes everything.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conformance.clusters.embedded.interface import (
    HostName,
    NodeError,
    Object,
    Process,
    ServiceRule,
    VolumeSources,
)
from conformance.clusters.embedded.node.firewall import NodeFirewall
from conformance.clusters.embedded.node.network import NODE_ADDRESS, Addresses, Network
from conformance.clusters.embedded.node.pods import NodeServices, Pod
from conformance.clusters.embedded.node.rootfs import make_template
from conformance.clusters.embedded.node.spawner_client import SpawnerClient


class Machine:
    """The machine under the API server; implements interface.Node."""

    address = NODE_ADDRESS

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._services: NodeServices | None = None
        self._spawner = SpawnerClient()
        self._network = Network()
        self._firewall = NodeFirewall()
        self._pods: dict[tuple[str, str], Pod] = {}
        self._names: tuple[HostName, ...] = ()

    async def start(self) -> None:
        """Create the bridge and the services for pods. Raises NodeError if the machine cannot."""
        self._directory = Path(tempfile.mkdtemp(prefix="node-"))
        root = self._directory / "root"
        common_mounts = make_template(root)
        self._spawner.open()
        await self._network.open()
        await self._firewall.open()
        self._services = NodeServices(
            directory=self._directory / "pods",
            root=root,
            common_mounts=common_mounts,
            spawner=self._spawner,
            network=self._network,
            addresses=Addresses(),
        )

    async def close(self) -> None:
        """Kill all pods and release all resources that outlive the sandbox."""
        await asyncio.gather(*(self.stop_pod(*key, 0.0) for key in list(self._pods)))
        self._spawner.close()
        self._firewall.close()
        await self._network.close()
        if self._directory is not None and (self._directory / "pods").exists():
            shutil.rmtree(self._directory / "pods")

    def run_pod(
        self, pod: Object, sources: VolumeSources, on_status: Callable[[dict[str, Any]], None]
    ) -> None:
        """Start a pod. Raises NodeError if a pod of that name is running."""
        key = (str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"]))
        if self._services is None:
            raise NodeError("the node has not been started")
        if key in self._pods:
            raise NodeError(f"pod {key[0]}/{key[1]} runs already")
        self._pods[key] = Pod(pod, self._services, sources, on_status)
        self._pods[key].set_host_names(self._names)

    async def stop_pod(self, namespace: str, name: str, grace_s: float) -> None:
        """End a pod, and return when it is gone; a missing pod is gone already."""
        pod = self._pods.get((namespace, name))
        if pod is None:
            return
        await pod.stop(grace_s)
        self._pods.pop((namespace, name), None)

    async def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> Process:
        """Run a command in a container. Raises NodeError."""
        return await self._pod(namespace, pod).container(container).execute(self._spawner, command)

    def logs(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> str:
        """The output of a container, from earlier starts too. Raises NodeError."""
        return self._pod(namespace, pod).container(container).log.tail(tail)

    async def route(self, services: Sequence[ServiceRule], names: Sequence[HostName]) -> None:
        """Replace the routes and the host names. Raises NodeError."""
        if tuple(names) != self._names:
            self._names = tuple(names)
            for pod in self._pods.values():
                pod.set_host_names(self._names)
        await self._firewall.put(services)

    def _pod(self, namespace: str, name: str) -> Pod:
        if (namespace, name) not in self._pods:
            raise NodeError(f'pods "{name}" not found')
        return self._pods[namespace, name]

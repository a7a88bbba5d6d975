"""The node of the embedded cluster: pods as network namespaces with processes in them.

It makes everything in the namespaces of its own process and therefore belongs into a sandbox (sandbox.py),
with which everything goes.
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
    Supplies,
)
from conformance.clusters.embedded.node.firewall import Firewall
from conformance.clusters.embedded.node.network import NODE_ADDRESS, Addresses, Network
from conformance.clusters.embedded.node.pods import Equipment, Pod
from conformance.clusters.embedded.node.rootfs import make_template
from conformance.clusters.embedded.node.spawner_client import Spawner


class Machine:
    """The machine under the API server; implements seam.Node."""

    address = NODE_ADDRESS

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._equipment: Equipment | None = None
        self._spawner = Spawner()
        self._network = Network()
        self._firewall = Firewall()
        self._pods: dict[tuple[str, str], Pod] = {}
        self._names: tuple[HostName, ...] = ()

    async def start(self) -> None:
        """Make the bridge, and what pods are made from. Raises NodeError when the machine cannot."""
        self._directory = Path(tempfile.mkdtemp(prefix="node-"))
        root = self._directory / "root"
        always = make_template(root)
        self._spawner.open()
        await self._network.open()
        await self._firewall.open()
        self._equipment = Equipment(
            directory=self._directory / "pods",
            root=root,
            always=always,
            spawner=self._spawner,
            network=self._network,
            addresses=Addresses(),
        )

    async def close(self) -> None:
        """End all pods by force and give everything back that the sandbox does not take with it."""
        await asyncio.gather(*(self.stop_pod(*key, 0.0) for key in list(self._pods)))
        self._spawner.close()
        self._firewall.close()
        await self._network.close()
        if self._directory is not None and (self._directory / "pods").exists():
            shutil.rmtree(self._directory / "pods")

    def run_pod(self, pod: Object, supplies: Supplies, on_status: Callable[[dict[str, Any]], None]) -> None:
        """Begin to run a pod. Raises NodeError if there is one of that name."""
        key = (str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"]))
        if self._equipment is None:
            raise NodeError("the node has not been started")
        if key in self._pods:
            raise NodeError(f"pod {key[0]}/{key[1]} runs already")
        self._pods[key] = Pod(pod, self._equipment, supplies, on_status)
        self._pods[key].know(self._names)

    async def stop_pod(self, namespace: str, name: str, grace_s: float) -> None:
        """End a pod, and return when it is gone; one that there is not is gone already."""
        pod = self._pods.get((namespace, name))
        if pod is None:
            return
        await pod.stop(grace_s)
        self._pods.pop((namespace, name), None)

    async def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> Process:
        """Run a command in a container. Raises NodeError."""
        return await self._pod(namespace, pod).container(container).execute(self._spawner, command)

    def logs(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> str:
        """What a container wrote, that of earlier starts included. Raises NodeError."""
        return self._pod(namespace, pod).container(container).log.tail(tail)

    async def route(self, services: Sequence[ServiceRule], names: Sequence[HostName]) -> None:
        """Let these addresses and names lead where they say. Raises NodeError."""
        if tuple(names) != self._names:
            self._names = tuple(names)
            for pod in self._pods.values():
                pod.know(self._names)
        await self._firewall.put(services)

    def _pod(self, namespace: str, name: str) -> Pod:
        if (namespace, name) not in self._pods:
            raise NodeError(f'pods "{name}" not found')
        return self._pods[namespace, name]

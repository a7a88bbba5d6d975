"""A pod: its network, its files, its containers in order, and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.clusters.embedded.interface import HostName, NodeError, Object, VolumeSources
from conformance.clusters.embedded.node import etc_hosts, volumes
from conformance.clusters.embedded.node.containers import Container, PodContext
from conformance.clusters.embedded.node.network import Addresses, Network
from conformance.clusters.embedded.node.pausing import pause
from conformance.clusters.embedded.node.rootfs import POD_FILES
from conformance.clusters.embedded.node.spawner_client import Mount, Namespaces, SpawnerClient
from conformance.clusters.embedded.node.statuses import PodView, Terminated

_LOG = logging.getLogger(__name__)
# Like a kubelet, a pod retries until a missing ConfigMap exists, and reports that meanwhile.
_RETRY_S = 1.0
_RENEW = 0.8
_POD_FILES = "pod"


@dataclass(frozen=True, slots=True)
class NodeServices:
    """The node's services for its pods."""

    directory: Path
    root: Path
    common_mounts: Sequence[Mount]
    spawner: SpawnerClient
    network: Network
    addresses: Addresses


class Pod:
    """A pod from start to end. It reports its status on each change."""

    def __init__(
        self,
        manifest: Object,
        services: NodeServices,
        sources: VolumeSources,
        on_status: Callable[[dict[str, Any]], None],
    ) -> None:
        self._manifest = manifest
        self._services = services
        self._sources = sources
        self._on_status = on_status
        metadata, spec = manifest["metadata"], manifest["spec"]
        self.namespace, self.name = str(metadata["namespace"]), str(metadata["name"])
        self._policy = str(spec.get("restartPolicy") or "Always")
        self._directory = services.directory / f"{self.namespace}_{self.name}_{metadata.get('uid', '')}"
        self._inits = [self._init(each) for each in spec.get("initContainers") or ()]
        self._containers = [Container(each, self._policy, self._changed) for each in spec["containers"]]
        self._sidecars = [each for each in self._inits if each.policy == "Always"]
        self._address: str | None = None
        self._namespaces: Namespaces | None = None
        self._attached = False
        self._initialized = False
        self._names: Sequence[HostName] = ()
        self._started = _now()
        self._reported: dict[str, Any] = {}
        self._report_pending = False
        self._stopping = asyncio.Event()
        self._supervised: list[asyncio.Task[None]] = []
        self._pod_task = asyncio.create_task(self._run_pod())

    def container(self, name: str) -> Container:
        """The container of a name. Raises NodeError."""
        for each in (*self._inits, *self._containers):
            if each.name == name:
                return each
        raise NodeError(f"container {name} is not valid for pod {self.name}")

    def set_host_names(self, names: Sequence[HostName]) -> None:
        """Replace the host names that the pod resolves."""
        self._names = names
        if self._address is not None:
            self._write_hosts()

    async def stop(self, grace_s: float) -> None:
        """End it, and return when all of it is gone. Raises NodeError."""
        self._stopping.set()
        for each in (*self._inits, *self._containers):
            each.stopping.set()
        deadline = asyncio.get_running_loop().time() + grace_s
        await self._end([each for each in self._inits if each not in self._sidecars], deadline)
        await self._end(self._containers, deadline)
        # Sidecars last, in reverse order of their start.
        for sidecar in reversed(self._sidecars):
            await self._end([sidecar], deadline)
        await self._pod_task
        self._release()

    def _init(self, spec: Object) -> Container:
        sidecar = spec.get("restartPolicy") == "Always"
        policy = "Always" if sidecar else ("Never" if self._policy == "Never" else "OnFailure")
        return Container(spec, policy, self._changed)

    async def _run_pod(self) -> None:
        try:
            context = await self._prepared()
            if context is None:
                return
            if await self._initialize(context):
                await self._run(context)
        finally:
            await asyncio.gather(*self._supervised)

    async def _prepared(self) -> PodContext | None:
        """Network and volumes, with retries; None if the pod is stopped before they are ready."""
        while not self._stopping.is_set():
            try:
                return await self._prepare()
            except NodeError as error:
                problem = str(error)
            except OSError as error:
                problem = f"cannot write the pod's files: {error}"
            for each in (*self._inits, *self._containers):
                each.wait("ContainerCreating", problem)
            await pause(_RETRY_S, self._stopping)
        return None

    async def _prepare(self) -> PodContext:
        services, spec = self._services, self._manifest["spec"]
        if spec.get("hostNetwork") or spec.get("hostPID"):
            raise NodeError(
                "the embedded cluster has no pods in the network or among the processes of the host"
            )
        if self._address is None:
            self._address = services.addresses.allocate()
        if self._namespaces is None:
            self._namespaces = await services.spawner.network(str(spec.get("hostname") or self.name)[:63])
        if not self._attached:
            await services.network.attach(self._namespaces, self._address)
            self._attached = True
        self._write_hosts()
        lifetimes = self._write_volumes()
        if lifetimes:
            self._supervised.append(asyncio.create_task(self._renew(lifetimes)))
        self._changed()
        return PodContext(
            pod=self._manifest,
            address=self._address,
            namespaces=self._namespaces,
            root=str(services.root),
            mounts=self._mounts,
            sources=self._sources,
            spawner=services.spawner,
        )

    async def _initialize(self, context: PodContext) -> bool:
        """Run the init containers and start the sidecars, one after another; returns whether to continue."""
        for container in self._inits:
            task = asyncio.create_task(container.supervise(context))
            self._supervised.append(task)
            if container in self._sidecars:
                await _first_completed(container.up.wait(), container.stopping.wait())
            else:
                await task
            if self._stopping.is_set() or (isinstance(container.state, Terminated) and container.state.code):
                return False
            if container not in self._sidecars:
                container.ready = True
        self._initialized = True
        self._changed()
        return True

    async def _run(self, context: PodContext) -> None:
        running = []
        for container in self._containers:
            task = asyncio.create_task(container.supervise(context))
            running.append(task)
            self._supervised.append(task)
            await _first_completed(container.attempted.wait(), container.stopping.wait())
        await asyncio.gather(*running)
        # All containers have ended for good, so the sidecars end too.
        if not self._stopping.is_set():
            self._stopping.set()
            grace_s = float(self._manifest["spec"].get("terminationGracePeriodSeconds") or 30)
            for sidecar in reversed(self._sidecars):
                await self._end([sidecar], asyncio.get_running_loop().time() + grace_s)

    async def _end(self, containers: Sequence[Container], deadline: float) -> None:
        """Send SIGTERM, and SIGKILL after the deadline."""
        for each in containers:
            each.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout_at(deadline):
                for each in containers:
                    await each.gone.wait()
        except TimeoutError:
            for each in containers:
                each.signal(signal.SIGKILL)
        for each in containers:
            await each.gone.wait()

    def _release(self) -> None:
        # No further changes are reported.
        self._report_pending = True
        # Closing the last descriptor removes the network namespace and its interfaces.
        if self._namespaces is not None:
            for descriptor in (self._namespaces.network, self._namespaces.name, self._namespaces.netlink):
                os.close(descriptor)
        if self._address is not None:
            self._services.addresses.release(self._address)
        self._namespaces = self._address = None
        if self._directory.exists():
            shutil.rmtree(self._directory)

    def _write_hosts(self) -> None:
        directory = self._directory / _POD_FILES
        directory.mkdir(parents=True, exist_ok=True)
        address = self._address or ""
        text = etc_hosts.hosts(self._names, namespace=self.namespace, pod=self.name, address=address)
        volumes.replace(directory / "hosts", text.encode())
        volumes.replace(directory / "hostname", f"{self.name}\n".encode())

    def _write_volumes(self, only: Collection[str] | None = None) -> dict[str, int]:
        """Write the volumes; returns the lifetimes, in seconds, of the tokens by volume."""
        lifetimes = {}
        for volume in self._manifest["spec"].get("volumes") or ():
            name = str(volume["name"])
            if only is not None and name not in only:
                continue
            files = volumes.files_of(volume, self._manifest, self._sources, address=self._address or "")
            volumes.write(self._directory / "volumes" / name, files)
            if limited := [file.lifetime_s for file in files or () if file.lifetime_s]:
                lifetimes[name] = min(limited)
        return lifetimes

    async def _renew(self, lifetimes: Mapping[str, int]) -> None:
        """Rewrite volumes with tokens before these expire, until the pod is stopped."""
        while not await pause(_RENEW * min(lifetimes.values()), self._stopping):
            try:
                self._write_volumes(lifetimes)
            except (NodeError, OSError) as error:
                _LOG.warning("tokens of %s/%s are not renewed: %s", self.namespace, self.name, error)

    def _mounts(self, container: Object) -> list[Mount]:
        known = [str(volume["name"]) for volume in self._manifest["spec"].get("volumes") or ()]
        files = Mount(str(self._directory / _POD_FILES), POD_FILES)
        return [
            *self._services.common_mounts,
            files,
            *volumes.mounts_of(container, self._directory / "volumes", known),
        ]

    def _changed(self) -> None:
        """Report the status soon: simultaneous changes are reported once."""
        if not self._report_pending:
            self._report_pending = True
            asyncio.get_running_loop().call_soon(self._report)

    def _report(self) -> None:
        self._report_pending = False
        view = PodView(
            address=self._address,
            started=self._started,
            restart_policy=self._policy,
            initialized=self._initialized,
            inits=[each.view() for each in self._inits],
            containers=[each.view() for each in self._containers],
            sidecars=frozenset(each.name for each in self._sidecars),
        )
        status = view.document(_now(), self._reported.get("conditions", ()))
        if status != self._reported:
            self._reported = status
            self._on_status(status)


async def _first_completed(*awaited: Any) -> None:
    tasks = [asyncio.ensure_future(each) for each in awaited]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

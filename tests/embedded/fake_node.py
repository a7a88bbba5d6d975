"""The API server of the embedded cluster in its own thread, over a node that only pretends to run pods."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from conformance.clusters.embedded.control_plane import KubernetesControlPlane
from conformance.clusters.embedded.interface import (
    HostName,
    NodeError,
    Object,
    Process,
    ServiceRule,
    VolumeSources,
)
from conformance.clusters.kubernetes import KubernetesCluster

TOKEN = "of the administrator"
WITHIN_S = 10.0
Program = Callable[["FakeNode", Object, str], AbstractAsyncContextManager[None]]
"""A pod's program in this process, given the pod and its address."""

Result = TypeVar("Result")


@dataclass
class FakeNode:
    """Pods are entries in a table, with loopback addresses; commands run on this machine.

    The label `app` (or `app.kubernetes.io/name`) selects a pod's behaviour: a key of `programs` runs that
    program, a label in `unready` never gets ready, a label in `waiting` waits with that reason and message.
    """

    programs: Mapping[str, Program] = field(default_factory=dict)
    unready: set[str] = field(default_factory=set)
    waiting: dict[str, tuple[str, str]] = field(default_factory=dict)
    running: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)
    stopped: list[tuple[str, str, float]] = field(default_factory=list)
    services: Sequence[ServiceRule] = ()
    names: Sequence[HostName] = ()
    sources: VolumeSources | None = None

    def __post_init__(self) -> None:
        # Its own network in 127.0.0.0/8, so that parallel tests do not collide at fixed ports.
        self._network = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
        self.address = f"{self._network}.1"
        self._last = 1
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        for key in list(self.running):
            await self.stop_pod(*key, 0)

    def run_pod(
        self, pod: Object, sources: VolumeSources, on_status: Callable[[dict[str, Any]], None]
    ) -> None:
        key = str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])
        if key in self.running:
            raise NodeError(f"pod {key} runs already")
        self.sources = sources
        self.running[key] = asyncio.Event()
        self._last += 1
        address = f"{self._network}.{self._last}"
        self._tasks[key] = asyncio.create_task(self._live(pod, address, self.running[key], on_status))

    async def _live(
        self, pod: Object, address: str, end: asyncio.Event, on_status: Callable[[dict[str, Any]], None]
    ) -> None:
        labels = pod["metadata"].get("labels") or {}
        app = labels.get("app") or labels.get("app.kubernetes.io/name", "")
        async with AsyncExitStack() as stack:
            on_status(status(pod, address, ready=False))
            if app in self.waiting:
                reason, message = self.waiting[app]
                for _ in range(2):
                    on_status(stuck(pod, reason, message))
                await end.wait()
                return
            if app in self.programs:
                await stack.enter_async_context(self.programs[app](self, pod, address))
            if app not in self.unready:
                on_status(status(pod, address, ready=True))
            await end.wait()

    async def stop_pod(self, namespace: str, name: str, grace_s: float) -> None:
        self.stopped.append((namespace, name, grace_s))
        self.running[namespace, name].set()
        await self._tasks.pop((namespace, name))
        del self.running[namespace, name]

    async def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> Process:
        if container != "main":
            raise NodeError(f"container {container} is not valid for pod {pod}")
        pipe = asyncio.subprocess.PIPE
        process: Any = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        return process  # type: ignore[no-any-return]

    def logs(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> str:
        lines = [f"{namespace}/{pod}/{container} says {number}\n" for number in range(5)]
        return "".join(lines[-tail:] if tail else lines)

    async def route(self, services: Sequence[ServiceRule], names: Sequence[HostName]) -> None:
        self.services, self.names = services, names


def stuck(pod: Object, reason: str, message: str) -> dict[str, Any]:
    """A kubelet's status of a pod whose containers cannot be started."""
    waiting = {"waiting": {"reason": reason, "message": message}}
    containers = [
        {"name": one["name"], "ready": False, "state": waiting} for one in pod["spec"]["containers"]
    ]
    return {"phase": "Pending", "conditions": [], "containerStatuses": containers}


def status(pod: Object, address: str, *, ready: bool) -> dict[str, Any]:
    """A kubelet's status of a pod with an address and started containers."""
    containers = [
        {"name": one["name"], "ready": ready, "restartCount": 0, "state": {"running": {}}}
        for one in pod["spec"]["containers"]
    ]
    return {
        "phase": "Running" if ready else "Pending",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": containers,
    }


@dataclass
class Served:
    """A served embedded cluster, and its node."""

    url: str
    node: FakeNode
    inner: KubernetesControlPlane
    loop: asyncio.AbstractEventLoop
    cluster: KubernetesCluster

    def run(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """The result of work in the server's own loop."""

        async def within() -> Result:
            async with asyncio.timeout(WITHIN_S):
                return await work()

        return asyncio.run_coroutine_threadsafe(within(), self.loop).result()

    def eventually(self, check: Callable[[], Result]) -> Result:
        """The first true result of a check, which is repeated on every change of an object."""

        async def look() -> Result:
            changed = asyncio.Event()
            unsubscribe = self.inner.store.subscribe(lambda event: changed.set())
            try:
                while not (answer := await asyncio.to_thread(check)):
                    await changed.wait()
                    changed.clear()
                return answer
            finally:
                unsubscribe()

        return self.run(look)

    def has(self, path: str, check: Callable[[Any], Result]) -> Result:
        """The first true result of a check on the body at a path."""
        return self.eventually(lambda: check(self.cluster.request("GET", path).body))


@contextmanager
def serving(programs: Mapping[str, Program] | None = None) -> Iterator[Served]:
    """A cluster that exists within the block."""
    node = FakeNode(programs or {})
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    started, ended = threading.Event(), asyncio.Event()
    made: list[tuple[KubernetesControlPlane, asyncio.AbstractEventLoop]] = []

    async def live() -> None:
        inner = KubernetesControlPlane(node, TOKEN)
        await inner.start(listening)
        made.append((inner, asyncio.get_running_loop()))
        started.set()
        await ended.wait()
        await inner.close()
        await node.close()

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    assert started.wait(WITHIN_S)
    (inner, loop) = made[0]
    cluster = KubernetesCluster.at(url, TOKEN, "embedded")
    try:
        yield Served(url, node, inner, loop, cluster)
    finally:
        cluster.close()
        loop.call_soon_threadsafe(ended.set)
        thread.join(WITHIN_S)
        assert not thread.is_alive()

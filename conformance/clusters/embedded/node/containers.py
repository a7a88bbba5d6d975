"""A container of a pod: starts, probes, restarts and ends it, like a kubelet.

A container is a process with its own root directory and process namespace in the namespaces of its pod.
Users, capabilities and seccomp profiles of the manifest are ignored: all containers run as the user of the
embedded cluster (root inside the sandbox), and no container can do more than the sandbox can.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from conformance.clusters.embedded.interface import NodeError, Object, VolumeSources
from conformance.clusters.embedded.node import images, readiness_probes
from conformance.clusters.embedded.node.environment import command_of
from conformance.clusters.embedded.node.pausing import pause
from conformance.clusters.embedded.node.spawner_client import Child, Command, Mount, Namespaces, SpawnerClient
from conformance.clusters.embedded.node.statuses import ContainerView, Running, State, Terminated, Waiting
from conformance.clusters.embedded.node.streams import ExecProcess, Log, open_pipes

# Seconds between restarts of a container: the first restart is immediate.
_BACK_OFF_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
_UNSUPPORTED_PROBES = ("livenessProbe", "startupProbe")
_MAX_HOOK_OUTPUT = 400
_CREATING = Waiting("ContainerCreating")


@dataclass(frozen=True, slots=True)
class PodContext:
    """A container's view of its pod and the node."""

    pod: Object
    address: str
    namespaces: Namespaces
    root: str
    mounts: Callable[[Object], Sequence[Mount]]
    sources: VolumeSources
    spawner: SpawnerClient


class _Unstartable(Exception):
    """A container could not be started; ``reason`` is a kubelet's."""

    def __init__(self, reason: str, message: object) -> None:
        super().__init__(str(message))
        self.reason = reason


@dataclass(slots=True)
class Container:
    """A container; `policy` is its restart policy: Always, OnFailure, Never.

    Event `attempted` is set once the first start has succeeded or failed, `up` once it runs and its hook has
    finished, `gone` while none of its processes runs or will run.
    """

    spec: Object
    policy: str
    changed: Callable[[], None]
    state: State = _CREATING
    last: State | None = None
    ready: bool = False
    started: bool = False
    restarts: int = 0
    log: Log = field(default_factory=Log)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    attempted: asyncio.Event = field(default_factory=asyncio.Event)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    _child: Child | None = None
    _command: Command | None = None

    def __post_init__(self) -> None:
        self.gone.set()

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    def view(self) -> ContainerView:
        """Its current state."""
        return ContainerView(
            self.name, str(self.spec["image"]), self.state, self.last, self.ready, self.started, self.restarts
        )

    def wait(self, reason: str, message: str = "") -> None:
        """Report it as waiting."""
        self._become(Waiting(reason, message))

    async def supervise(self, context: PodContext) -> None:
        """Run it, with restarts, until it has ended for good or is stopped."""
        self.gone.clear()
        try:
            for attempt in itertools.count():
                if self.stopping.is_set():
                    return
                code = await self._once(context)
                self.attempted.set()
                if code is not None and not self._starts_again(code):
                    return
                await self._back_off(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)], ran=code is not None)
        finally:
            self.gone.set()

    async def execute(self, spawner: SpawnerClient, arguments: Sequence[str]) -> ExecProcess:
        """Run a command in it. Raises NodeError."""
        child, command = self._running()
        pipes = await open_pipes()
        try:
            entered = await spawner.enter(child, replace(command, arguments=arguments), pipes.remote_ends)
        except NodeError:
            pipes.close()
            raise
        finally:
            for descriptor in pipes.remote_ends:
                os.close(descriptor)
        return ExecProcess(pipes.stdin, pipes.stdout, pipes.stderr, entered)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its first process, if any, and do not restart it."""
        self.stopping.set()
        if self._child is not None:
            self._child.signal(number)

    def _running(self) -> tuple[Child, Command]:
        if self._child is None or self._command is None:
            raise NodeError(f"container {self.name} is not running")
        return self._child, self._command

    def _starts_again(self, code: int) -> bool:
        return self.policy == "Always" or (self.policy == "OnFailure" and code != 0)

    def _become(self, state: State) -> None:
        if isinstance(self.state, Terminated):
            self.last = self.state
        self.state = state
        self.changed()

    async def _back_off(self, seconds: float, *, ran: bool) -> None:
        if self.stopping.is_set():
            return
        if ran:
            self.restarts += 1
            if seconds:
                self.wait(
                    "CrashLoopBackOff", f"back-off {seconds:g}s restarting failed container {self.name}"
                )
        await pause(seconds if ran else max(seconds, _BACK_OFF_S[1]), self.stopping)

    async def _once(self, context: PodContext) -> int | None:
        """Run it once; its exit code, or None if it could not be started."""
        try:
            child = await self._start(context)
        except _Unstartable as error:
            self.wait(error.reason, str(error))
            return None
        since = _now()
        self._child = child
        self._become(Running(since))
        if self.stopping.is_set():
            child.kill()
        hook_and_probe = asyncio.create_task(self._run_hook_and_probe(context))
        code = await child.exit
        self._child = None
        hook_and_probe.cancel()
        await asyncio.gather(hook_and_probe, return_exceptions=True)
        self.ready = self.started = False
        self._become(Terminated(code, since, _now()))
        return code

    async def _start(self, context: PodContext) -> Child:
        command, mounts = self._plan(context)
        devnull = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with self.log.writing() as write:
                child = await context.spawner.start(
                    command,
                    (devnull, write, write),
                    namespaces=context.namespaces,
                    root=context.root,
                    mounts=mounts,
                )
        except NodeError as error:
            raise _Unstartable("RunContainerError", error) from error
        finally:
            os.close(devnull)
        self._command = command
        return child

    def _plan(self, context: PodContext) -> tuple[Command, Sequence[Mount]]:
        if unknown := [name for name in _UNSUPPORTED_PROBES if name in self.spec]:
            what = f"the embedded cluster does not support {', '.join(unknown)}"
            raise _Unstartable("CreateContainerConfigError", what)
        try:
            image = images.environment_of(str(self.spec["image"]))
        except NodeError as error:
            raise _Unstartable("ErrImageNeverPull", error) from error
        try:
            command = command_of(context.pod, self.spec, image, context.sources, address=context.address)
            return command, context.mounts(self.spec)
        except NodeError as error:
            raise _Unstartable("CreateContainerConfigError", error) from error

    async def _run_hook_and_probe(self, context: PodContext) -> None:
        """Run the hook, then the readiness probe, while the container runs."""
        probe = self.spec.get("readinessProbe")
        await self._run_hook(context.spawner, ready=not probe)
        if not probe or not self.started:
            return

        async def execute(command: Sequence[str]) -> int:
            return (await self._run_to_end(context.spawner, command))[0]

        async for ready in readiness_probes.readiness(
            probe, self.spec, context.address, execute, self.stopping
        ):
            self._set_ready(ready)

    def _set_ready(self, ready: bool) -> None:
        self.ready = ready
        self.changed()

    async def _run_hook(self, spawner: SpawnerClient, *, ready: bool) -> None:
        """Run the hook, then mark the container as started, and as ready if it has no probe."""
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            problem = await self._execute_hook(spawner, hook)
            if problem:
                self.log.note(f"postStart hook failed: {problem}")
                if self._child is not None:
                    self._child.kill()
                return
        self.started = True
        self.ready = self.ready or ready
        self.up.set()
        self.attempted.set()
        self.changed()

    async def _execute_hook(self, spawner: SpawnerClient, hook: Any) -> str:
        if "exec" not in hook:
            return f"the embedded cluster does not support {', '.join(hook)} as a hook"
        try:
            code, log = await self._run_to_end(spawner, hook["exec"]["command"])
        except NodeError as error:
            return str(error)
        return f"exit code {code}: {log}" if code else ""

    async def _run_to_end(self, spawner: SpawnerClient, arguments: Sequence[str]) -> tuple[int, str]:
        child, command = self._running()
        log = Log()
        devnull = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with log.writing() as write:
                streams = (devnull, write, write)
                entered = await spawner.enter(child, replace(command, arguments=arguments), streams)
        finally:
            os.close(devnull)
        try:
            return await entered.exit, log.tail(None)[-_MAX_HOOK_OUTPUT:]
        finally:
            entered.kill()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""One container of a pod: started, probed, started again, ended, as a kubelet does it.

A container is a process with a root directory and a process namespace of its own in the namespaces of its
pod. Users, capabilities and seccomp profiles of the manifest are not imitated: there is one user, the one who
runs all this (root inside of the sandbox), and no container can do more than the sandbox can.
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

from conformance.clusters.embedded.interface import NodeError, Object, Supplies
from conformance.clusters.embedded.node import images, probing
from conformance.clusters.embedded.node.environment import command_of
from conformance.clusters.embedded.node.pausing import pause
from conformance.clusters.embedded.node.spawner_client import Child, Command, Mount, Namespaces, Spawner
from conformance.clusters.embedded.node.statuses import ContainerView, Running, State, Terminated, Waiting
from conformance.clusters.embedded.node.streams import Executed, Log, open_pipes

# Between starts of a container that does not stay, in seconds: the first comes at once.
_BACK_OFF_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
_UNKNOWN = ("livenessProbe", "startupProbe")
_WORDS = 400
_CREATING = Waiting("ContainerCreating")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container needs of its pod and of the node."""

    pod: Object
    address: str
    namespaces: Namespaces
    root: str
    mounts: Callable[[Object], Sequence[Mount]]
    supplies: Supplies
    spawner: Spawner


class _Unstartable(Exception):
    """A container could not be started: the reason as a kubelet names it, and the text."""

    def __init__(self, reason: str, message: object) -> None:
        super().__init__(str(message))
        self.reason = reason


@dataclass(slots=True)
class Container:
    """A container; `policy` says when it is started again: Always, OnFailure, Never.

    Of the events, `attempted` is set once the first start has succeeded or failed, `up` once it runs and its
    hook is done, `gone` while nothing of it runs or is going to.
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
        """How it is at this moment."""
        return ContainerView(
            self.name, str(self.spec["image"]), self.state, self.last, self.ready, self.started, self.restarts
        )

    def wait(self, reason: str, message: str = "") -> None:
        """Report why it does not run."""
        self._become(Waiting(reason, message))

    async def supervise(self, around: Surroundings) -> None:
        """Run it until it has ended for good, or is stopped."""
        self.gone.clear()
        try:
            for attempt in itertools.count():
                if self.stopping.is_set():
                    return
                code = await self._once(around)
                self.attempted.set()
                if code is not None and not self._starts_again(code):
                    return
                await self._back_off(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)], ran=code is not None)
        finally:
            self.gone.set()

    async def execute(self, spawner: Spawner, arguments: Sequence[str]) -> Executed:
        """Run a command in it. Raises NodeError."""
        child, command = self._running()
        pipes = await open_pipes()
        try:
            entered = await spawner.enter(child, replace(command, arguments=arguments), pipes.theirs)
        except NodeError:
            pipes.close()
            raise
        finally:
            for descriptor in pipes.theirs:
                os.close(descriptor)
        return Executed(pipes.stdin, pipes.stdout, pipes.stderr, entered)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its first process, if there is one, and start it no more."""
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

    async def _once(self, around: Surroundings) -> int | None:
        """From start to end; its exit code, or None where it could not be started."""
        try:
            child = await self._start(around)
        except _Unstartable as error:
            self.wait(error.reason, str(error))
            return None
        since = _now()
        self._child = child
        self._become(Running(since))
        if self.stopping.is_set():
            child.kill()
        attending = asyncio.create_task(self._attend(around))
        code = await child.exit
        self._child = None
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)
        self.ready = self.started = False
        self._become(Terminated(code, since, _now()))
        return code

    async def _start(self, around: Surroundings) -> Child:
        command, mounts = self._plan(around)
        silence = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with self.log.writing() as write:
                child = await around.spawner.start(
                    command,
                    (silence, write, write),
                    namespaces=around.namespaces,
                    root=around.root,
                    mounts=mounts,
                )
        except NodeError as error:
            raise _Unstartable("RunContainerError", error) from error
        finally:
            os.close(silence)
        self._command = command
        return child

    def _plan(self, around: Surroundings) -> tuple[Command, Sequence[Mount]]:
        if unknown := [name for name in _UNKNOWN if name in self.spec]:
            what = f"the embedded cluster does not know {', '.join(unknown)}"
            raise _Unstartable("CreateContainerConfigError", what)
        try:
            image = images.environment_of(str(self.spec["image"]))
        except NodeError as error:
            raise _Unstartable("ErrImageNeverPull", error) from error
        try:
            command = command_of(around.pod, self.spec, image, around.supplies, address=around.address)
            return command, around.mounts(self.spec)
        except NodeError as error:
            raise _Unstartable("CreateContainerConfigError", error) from error

    async def _attend(self, around: Surroundings) -> None:
        """What is done while it runs: the hook, and once that is over the probe, as the API says."""
        probe = self.spec.get("readinessProbe")
        await self._begin(around.spawner, ready=not probe)
        if not probe or not self.started:
            return

        async def execute(command: Sequence[str]) -> int:
            return (await self._run_to_end(around.spawner, command))[0]

        async for ready in probing.readiness(probe, self.spec, around.address, execute, self.stopping):
            self._tell(ready)

    def _tell(self, ready: bool) -> None:
        self.ready = ready
        self.changed()

    async def _begin(self, spawner: Spawner, *, ready: bool) -> None:
        """Run the hook, after which it counts as started; without a probe it is ready then, too."""
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            problem = await self._hook(spawner, hook)
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

    async def _hook(self, spawner: Spawner, hook: Any) -> str:
        if "exec" not in hook:
            return f"the embedded cluster does not know {', '.join(hook)} as a hook"
        try:
            code, said = await self._run_to_end(spawner, hook["exec"]["command"])
        except NodeError as error:
            return str(error)
        return f"exit code {code}: {said}" if code else ""

    async def _run_to_end(self, spawner: Spawner, arguments: Sequence[str]) -> tuple[int, str]:
        child, command = self._running()
        said = Log()
        silence = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with said.writing() as write:
                streams = (silence, write, write)
                entered = await spawner.enter(child, replace(command, arguments=arguments), streams)
        finally:
            os.close(silence)
        try:
            return await entered.exit, said.tail(None)[-_WORDS:]
        finally:
            entered.kill()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

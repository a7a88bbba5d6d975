"""The statuses of pods and their containers, as a kubelet reports them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.clusters.embedded.node.network import NODE_ADDRESS


@dataclass(frozen=True, slots=True)
class Waiting:
    """A container that does not run, with the reason."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """A running container, with its start time."""

    since: str


@dataclass(frozen=True, slots=True)
class Terminated:
    """A container that has ended: its exit code, start and end."""

    code: int
    since: str
    until: str


State = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True)
class ContainerView:
    """A container at a moment. An init container with restart policy Always is a sidecar."""

    name: str
    image: str
    state: State
    last: State | None = None
    ready: bool = False
    started: bool = False
    restarts: int = 0

    def document(self) -> dict[str, Any]:
        """Its ContainerStatus."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": _state(self.state),
            "lastState": _state(self.last) if self.last else {},
        }


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod at a moment; `initialized` when all init containers have completed."""

    address: str | None
    started: str
    restart_policy: str
    initialized: bool
    inits: Sequence[ContainerView]
    containers: Sequence[ContainerView]
    sidecars: frozenset[str]

    def phase(self) -> str:
        """Pending, Running, Succeeded or Failed."""
        if self._init_failed():
            return "Failed"
        if not self.initialized or all(
            isinstance(each.state, Waiting) and not each.restarts for each in self.containers
        ):
            return "Pending"
        codes = [each.state.code for each in self.containers if isinstance(each.state, Terminated)]
        if self.restart_policy == "Always" or len(codes) < len(self.containers):
            return "Running"
        if any(codes):
            return "Running" if self.restart_policy == "OnFailure" else "Failed"
        return "Succeeded"

    def ready(self) -> bool:
        """Whether all containers, sidecars among them, are ready."""
        helpers = [each for each in self.inits if each.name in self.sidecars]
        return self.initialized and all(each.ready for each in (*helpers, *self.containers))

    def document(self, now: str, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Its PodStatus. Unchanged conditions keep their transition time from `before`."""
        status: dict[str, Any] = {
            "phase": self.phase(),
            "hostIP": NODE_ADDRESS,
            "hostIPs": [{"ip": NODE_ADDRESS}],
            "startTime": self.started,
            "conditions": self._conditions(now, before),
            "containerStatuses": [each.document() for each in self.containers],
        }
        if self.inits:
            status["initContainerStatuses"] = [each.document() for each in self.inits]
        if self.address:
            status |= {"podIP": self.address, "podIPs": [{"ip": self.address}]}
        return status

    def _init_failed(self) -> bool:
        return self.restart_policy == "Never" and any(
            isinstance(each.state, Terminated) and each.state.code
            for each in self.inits
            if each.name not in self.sidecars
        )

    def _conditions(self, now: str, before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        known = {(each["type"], each["status"]): each["lastTransitionTime"] for each in before}
        ready = self.ready()
        holds = {
            "PodReadyToStartContainers": self.address is not None,
            "Initialized": self.initialized,
            "Ready": ready,
            "ContainersReady": ready,
            "PodScheduled": True,
        }
        waiting = [each.name for each in (*self.inits, *self.containers) if not each.ready]
        conditions = []
        for kind, held in holds.items():
            status = "True" if held else "False"
            since = known.get((kind, status), now)
            condition = {"type": kind, "status": status, "lastTransitionTime": since}
            if not held and kind in ("Ready", "ContainersReady"):
                condition |= {
                    "reason": "ContainersNotReady",
                    "message": f"containers with unready status: [{' '.join(waiting)}]",
                }
            conditions.append(condition)
        return conditions


def _state(state: State) -> dict[str, Any]:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        case Running(since):
            return {"running": {"startedAt": since}}
        case Terminated(code, since, until):
            ended = {
                "exitCode": code,
                "reason": "Error" if code else "Completed",
                "startedAt": since,
                "finishedAt": until,
            }
            return {"terminated": ended}

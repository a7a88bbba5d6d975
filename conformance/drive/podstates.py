"""What the API server tells of a pod: whether it is ready, what keeps it, and whether that is for good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conformance.clusters import Object

_FINAL = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
}
"""Reasons of waiting containers that do not go away by themselves."""


def containers(pod: Object) -> list[Any]:
    """Those that go on running: a sidecar may be among the init containers (KEP-753)."""
    spec = pod["spec"]
    native = [one for one in spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
    return [*spec["containers"], *native]


def is_ready(pod: Object) -> bool:
    conditions: list[Mapping[str, str]] = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _statuses(pod: Object) -> Iterator[Mapping[str, Any]]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])


def is_stuck(pod: Object) -> bool:
    """Whether a container of the pod waits for what will not come."""
    return any(one.get("state", {}).get("waiting", {}).get("reason") in _FINAL for one in _statuses(pod))


def unschedulable_reason(pod: Object) -> str:
    """Why no node takes the pod, in the scheduler's words; empty where one did, or was not looked for yet."""
    for one in pod.get("status", {}).get("conditions", []):
        if one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable":
            return str(one.get("message") or "no node takes it")
    return ""


def not_ready_reason(pod: Object) -> str:
    """Why a pod is not ready, in words that are the same for all that have the same trouble."""
    status = pod.get("status", {})
    for one in _statuses(pod):
        waiting = one.get("state", {}).get("waiting") or one.get("state", {}).get("terminated")
        if waiting and waiting.get("reason") != "Completed":
            message = f" ({waiting['message'][:200]})" if waiting.get("message") else ""
            return f"{one['name']}: {waiting.get('reason')}{message}"
        if not one.get("ready") and "running" in one.get("state", {}):
            return f"{one['name']} runs but is not ready"
    # Such as that no node takes the pod, and why.
    conditions = status.get("conditions", [])
    told = [one["message"] for one in conditions if one["status"] == "False" and one.get("message")]
    why = f" ({told[0][:200]})" if told else ""
    return f"{status.get('phase', 'unknown')}{why}"

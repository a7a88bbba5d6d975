"""The state of a pod from its API object: ready, not ready for a reason, or stuck for good."""

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
"""Reasons of waiting containers that do not resolve by themselves."""


def containers(pod: Object) -> list[Any]:
    """The long-running containers: a native sidecar is an init container (KEP-753)."""
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
    """Whether a container of the pod waits for a reason that does not resolve by itself."""
    return any(one.get("state", {}).get("waiting", {}).get("reason") in _FINAL for one in _statuses(pod))


def unschedulable_reason(pod: Object) -> str:
    """The scheduler's reason for an unschedulable pod; empty if it was scheduled or not yet considered."""
    for one in pod.get("status", {}).get("conditions", []):
        if one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable":
            return str(one.get("message") or "unschedulable")
    return ""


def not_ready_reason(pod: Object) -> str:
    """Why a pod is not ready; the same text for all pods with the same problem."""
    status = pod.get("status", {})
    for one in _statuses(pod):
        waiting = one.get("state", {}).get("waiting") or one.get("state", {}).get("terminated")
        if waiting and waiting.get("reason") != "Completed":
            message = f" ({waiting['message'][:200]})" if waiting.get("message") else ""
            return f"{one['name']}: {waiting.get('reason')}{message}"
        if not one.get("ready") and "running" in one.get("state", {}):
            return f"{one['name']} runs but is not ready"
    # For example the scheduler's reason.
    conditions = status.get("conditions", [])
    messages = [one["message"] for one in conditions if one["status"] == "False" and one.get("message")]
    why = f" ({messages[0][:200]})" if messages else ""
    return f"{status.get('phase', 'unknown')}{why}"

"""Warning Events of controllers and the kubelet. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.clusters.embedded.api.object_store import Object, now


def warning_event(regarding: Object, reason: str, message: str, component: str) -> Object:
    """An Event of type Warning, in the namespace of the object that it regards."""
    metadata, moment = regarding["metadata"], now()
    involved = {"apiVersion": regarding["apiVersion"], "kind": regarding["kind"],
                "namespace": metadata["namespace"], "name": metadata["name"],
                "uid": metadata["uid"]}  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "namespace": metadata["namespace"],
            "name": f"{metadata['name']}.{secrets.token_hex(8)}",
        },
        "involvedObject": involved,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "source": {"component": component},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }


def new_waiting_reasons(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Reason and message of waiting containers in a pod's status, if they are new."""
    known = set(_waiting(before))
    yield from (each for each in _waiting(after) if each not in known)


def _waiting(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("message"):
            yield str(waiting.get("reason", "Failed")), f"{each['name']}: {waiting['message']}"

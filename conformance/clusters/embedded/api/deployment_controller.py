"""The controller of deployments, their replica sets and pods, and their status."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from conformance.clusters.embedded.api.api_errors import StatusError
from conformance.clusters.embedded.api.object_store import Object, Store, WatchEvent
from conformance.clusters.embedded.api.warning_events import warning_event

_LOG = logging.getLogger(__name__)
_HASH_LABEL = "pod-template-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_RETRY_S = 1.0
Create = Callable[[Object], Awaitable[Object]]
Delete = Callable[[str, Object], Object]


class DeploymentController:
    """Creates and deletes pods until each deployment has its desired replicas."""

    def __init__(self, store: Store, create_pod: Create, delete: Delete) -> None:
        self._store = store
        self._create_pod = create_pod
        self._delete = delete
        self._dirty: set[tuple[str, str]] = set()
        self._woken = asyncio.Event()
        store.subscribe(self._on_event)

    def _on_event(self, event: WatchEvent) -> None:
        if event.key not in ("deployments.apps", "replicasets.apps", "pods"):
            return
        metadata = event.object["metadata"]
        if event.key == "deployments.apps":
            self._enqueue(metadata["namespace"], metadata["name"])
            return
        for owner in metadata.get("ownerReferences") or ():
            if owner["kind"] == "Deployment":
                self._enqueue(metadata["namespace"], owner["name"])
            elif owner["kind"] == "ReplicaSet":
                self._enqueue(metadata["namespace"], owner["name"].rpartition("-")[0])

    def _enqueue(self, namespace: str, name: str) -> None:
        self._dirty.add((namespace, name))
        self._woken.set()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            dirty, self._dirty = self._dirty, set()
            await asyncio.gather(*(self._reconcile(*name) for name in sorted(dirty)))

    async def _reconcile(self, namespace: str, name: str) -> None:
        deployment = self._store.find("deployments.apps", namespace, name)
        if deployment is None:
            return
        replica_set = self._replica_set(deployment)
        current, old = self._pods_of(deployment, replica_set)
        wanted = int(deployment["spec"]["replicas"])
        alive = [pod for pod in current if "deletionTimestamp" not in pod["metadata"]]
        recreate = deployment["spec"]["strategy"]["type"] == "Recreate"
        if recreate and old:
            self._remove(old)
        elif len(alive) < wanted:
            await self._create_missing(replica_set, wanted - len(alive))
        self._remove(alive[wanted:])
        if old and sum(map(is_ready, alive)) >= wanted:
            self._remove(old)
        self._update_status(deployment, replica_set)

    async def _create_missing(self, replica_set: Object, missing: int) -> None:
        try:
            await asyncio.gather(*(self._create_replica(replica_set) for _ in range(missing)))
        except StatusError as error:
            metadata = replica_set["metadata"]
            _LOG.warning("%s/%s: %s", metadata["namespace"], metadata["name"], error)
            if self._current(replica_set) is None:
                return
            event = warning_event(
                replica_set, "FailedCreate", f"Error creating: {error}", "replicaset-controller"
            )
            self._store.create("events", event)
            # The obstacle (a webhook that does not answer yet) may be gone by then.
            owner = metadata["ownerReferences"][0]["name"]
            asyncio.get_running_loop().call_later(_RETRY_S, self._enqueue, metadata["namespace"], owner)

    async def _create_replica(self, replica_set: Object) -> None:
        pod = await self._create_pod(_pod(replica_set))
        # The replica set may have been deleted during the webhooks' calls.
        if self._current(replica_set) is None:
            self._delete("pods", pod)

    def _current(self, replica_set: Object) -> Object | None:
        """The current state of a replica set; None if it is deleted."""
        metadata = replica_set["metadata"]
        found = self._store.find("replicasets.apps", metadata["namespace"], metadata["name"])
        return found if found is not None and found["metadata"]["uid"] == metadata["uid"] else None

    def _remove(self, pods: Sequence[Object]) -> None:
        for pod in pods:
            if "deletionTimestamp" not in pod["metadata"]:
                self._delete("pods", pod)

    def _replica_set(self, deployment: Object) -> Object:
        namespace = deployment["metadata"]["namespace"]
        template = deployment["spec"]["template"]
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
        short = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:9])
        name = f"{deployment['metadata']['name']}-{short}"
        found = self._store.find("replicasets.apps", namespace, name)
        if found is not None:
            return found
        mark = {_HASH_LABEL: name.rpartition("-")[2]}
        labels = {**(template["metadata"].get("labels") or {}), **mark}
        selector = {**(deployment["spec"]["selector"].get("matchLabels") or {}), **mark}
        return self._store.create(
            "replicasets.apps",
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "namespace": namespace, "name": name, "labels": labels,
                    "ownerReferences": [_owner(deployment, "Deployment")],
                },
                "spec": {
                    "replicas": deployment["spec"]["replicas"],
                    "selector": {"matchLabels": selector},
                    "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
                },
            },
        )  # fmt: skip

    def _pods_of(self, deployment: Object, replica_set: Object) -> tuple[list[Object], list[Object]]:
        namespace, uid = deployment["metadata"]["namespace"], deployment["metadata"]["uid"]
        sets = {
            each["metadata"]["uid"]
            for each in self._store.list("replicasets.apps", namespace)
            if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences") or ())
        }
        current, old = [], []
        for pod in self._store.list("pods", namespace):
            for owner in pod["metadata"].get("ownerReferences") or ():
                if owner["uid"] == replica_set["metadata"]["uid"]:
                    current.append(pod)
                elif owner["uid"] in sets:
                    old.append(pod)
        return current, old

    def _update_status(self, deployment: Object, replica_set: Object) -> None:
        namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
        latest, now = self._store.find("deployments.apps", namespace, name), self._current(replica_set)
        if latest is None or now is None:
            return
        current, old = self._pods_of(latest, replica_set)
        alive = [pod for pod in current if "deletionTimestamp" not in pod["metadata"]]
        ready, wanted = sum(map(is_ready, alive)), int(latest["spec"]["replicas"])
        status = {"replicas": len(alive), "readyReplicas": ready, "availableReplicas": ready}
        spec = {**now["spec"], "replicas": wanted}
        self._store.replace("replicasets.apps", {**now, "spec": spec, "status": status})
        everything = {
            **status,
            "replicas": len(alive) + len(old),
            "updatedReplicas": len(alive),
            "observedGeneration": latest["metadata"]["generation"],
            "conditions": [{"type": "Available", "status": "True" if ready >= wanted else "False"}],
        }
        self._store.replace("deployments.apps", {**latest, "status": everything})


def _owner(obj: Object, kind: str) -> dict[str, Any]:
    metadata = obj["metadata"]
    return {"apiVersion": "apps/v1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"],
            "controller": True, "blockOwnerDeletion": True}  # fmt: skip


def _pod(replica_set: Object) -> Object:
    template = replica_set["spec"]["template"]
    name = f"{replica_set['metadata']['name']}-{''.join(secrets.choice(_ALPHABET) for _ in range(5))}"
    metadata = {
        **template["metadata"],
        "namespace": replica_set["metadata"]["namespace"],
        "name": name,
        "ownerReferences": [_owner(replica_set, "ReplicaSet")],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def is_ready(pod: Object) -> bool:
    """Whether a pod's Ready condition holds."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

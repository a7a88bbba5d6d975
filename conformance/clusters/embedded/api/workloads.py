"""The controller of deployments: replica sets, their pods, and what is told of them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from conformance.clusters.embedded.api.errors import Refusal
from conformance.clusters.embedded.api.events import warning
from conformance.clusters.embedded.api.store import Event, Object, Store

_LOG = logging.getLogger(__name__)
_HASH_LABEL = "pod-template-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_AGAIN_S = 1.0
Create = Callable[[Object], Awaitable[Object]]
Delete = Callable[[str, Object], Object]


class Deployments:
    """Brings pods about until each deployment has what it asks for."""

    def __init__(self, store: Store, create_pod: Create, delete: Delete) -> None:
        self._store = store
        self._create_pod = create_pod
        self._delete = delete
        self._dirty: set[tuple[str, str]] = set()
        self._woken = asyncio.Event()
        store.listen(self._on_event)

    def _on_event(self, event: Event) -> None:
        if event.key not in ("deployments.apps", "replicasets.apps", "pods"):
            return
        metadata = event.object["metadata"]
        if event.key == "deployments.apps":
            self._touch(metadata["namespace"], metadata["name"])
            return
        for owner in metadata.get("ownerReferences") or ():
            if owner["kind"] == "Deployment":
                self._touch(metadata["namespace"], owner["name"])
            elif owner["kind"] == "ReplicaSet":
                self._touch(metadata["namespace"], owner["name"].rpartition("-")[0])

    def _touch(self, namespace: str, name: str) -> None:
        self._dirty.add((namespace, name))
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            dirty, self._dirty = self._dirty, set()
            await asyncio.gather(*(self._reconcile(*name) for name in sorted(dirty)))

    async def _reconcile(self, namespace: str, name: str) -> None:
        deployment = self._store.find("deployments.apps", namespace, name)
        if deployment is None:
            return
        own = self._replica_set(deployment)
        current, old = self._pods_of(deployment, own)
        wanted = int(deployment["spec"]["replicas"])
        alive = [pod for pod in current if "deletionTimestamp" not in pod["metadata"]]
        recreate = deployment["spec"]["strategy"]["type"] == "Recreate"
        if recreate and old:
            self._remove(old)
        elif len(alive) < wanted:
            await self._fill(own, wanted - len(alive))
        self._remove(alive[wanted:])
        if old and sum(map(is_ready, alive)) >= wanted:
            self._remove(old)
        self._report(deployment, own)

    async def _fill(self, own: Object, missing: int) -> None:
        try:
            await asyncio.gather(*(self._make(own) for _ in range(missing)))
        except Refusal as error:
            metadata = own["metadata"]
            _LOG.warning("%s/%s: %s", metadata["namespace"], metadata["name"], error)
            if self._current(own) is None:
                return
            about = warning(own, "FailedCreate", f"Error creating: {error}", "replicaset-controller")
            self._store.create("events", about)
            # What stood in the way (a webhook that does not answer yet) may be gone by then.
            owner = metadata["ownerReferences"][0]["name"]
            asyncio.get_running_loop().call_later(_AGAIN_S, self._touch, metadata["namespace"], owner)

    async def _make(self, own: Object) -> None:
        pod = await self._create_pod(_pod(own))
        # Who asked for it may be gone meanwhile: a webhook takes its time.
        if self._current(own) is None:
            self._delete("pods", pod)

    def _current(self, own: Object) -> Object | None:
        """A replica set as it is now; None if it is gone."""
        metadata = own["metadata"]
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

    def _pods_of(self, deployment: Object, own: Object) -> tuple[list[Object], list[Object]]:
        namespace, uid = deployment["metadata"]["namespace"], deployment["metadata"]["uid"]
        sets = {
            one["metadata"]["uid"]
            for one in self._store.list("replicasets.apps", namespace)
            if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences") or ())
        }
        current, old = [], []
        for pod in self._store.list("pods", namespace):
            for owner in pod["metadata"].get("ownerReferences") or ():
                if owner["uid"] == own["metadata"]["uid"]:
                    current.append(pod)
                elif owner["uid"] in sets:
                    old.append(pod)
        return current, old

    def _report(self, deployment: Object, own: Object) -> None:
        namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
        latest, now = self._store.find("deployments.apps", namespace, name), self._current(own)
        if latest is None or now is None:
            return
        current, old = self._pods_of(latest, own)
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


def _owner(thing: Object, kind: str) -> dict[str, Any]:
    metadata = thing["metadata"]
    return {"apiVersion": "apps/v1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"],
            "controller": True, "blockOwnerDeletion": True}  # fmt: skip


def _pod(own: Object) -> Object:
    template = own["spec"]["template"]
    name = f"{own['metadata']['name']}-{''.join(secrets.choice(_ALPHABET) for _ in range(5))}"
    metadata = {
        **template["metadata"],
        "namespace": own["metadata"]["namespace"],
        "name": name,
        "ownerReferences": [_owner(own, "ReplicaSet")],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready, by its conditions."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

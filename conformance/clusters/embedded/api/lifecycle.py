"""How objects begin and end that are more than data: pods, namespaces, and what an owner leaves."""

from __future__ import annotations

import asyncio
import base64
import logging
import platform
from collections.abc import Coroutine, Mapping
from typing import Any

from conformance.clusters.embedded.api import defaults
from conformance.clusters.embedded.api.api_resources import DEFINITIONS
from conformance.clusters.embedded.api.auth import Tokens
from conformance.clusters.embedded.api.events import troubles, warning
from conformance.clusters.embedded.api.store import Event, Object, Store, now
from conformance.clusters.embedded.interface import Node, NodeError

_LOG = logging.getLogger(__name__)
_OWNED = ("replicasets.apps", "pods")


class StoreSupplies:
    """What volumes and environment of pods are made from; implements seam.Supplies."""

    def __init__(self, store: Store, tokens: Tokens, ca: str) -> None:
        self._store = store
        self._tokens = tokens
        self._ca = ca

    def config_map(self, namespace: str, name: str) -> Mapping[str, bytes]:
        thing = self._find("configmaps", namespace, name)
        plain = {key: str(value).encode() for key, value in (thing.get("data") or {}).items()}
        return plain | {
            key: base64.b64decode(value) for key, value in (thing.get("binaryData") or {}).items()
        }

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        data = self._find("secrets", namespace, name).get("data") or {}
        return {key: base64.b64decode(value) for key, value in data.items()}

    def token(self, pod: Mapping[str, Any], audience: str | None, lifetime_s: int) -> str:
        account = self._find(
            "serviceaccounts", pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
        )
        return self._tokens.issue(account, [audience] if audience else [], lifetime_s, pod)

    def ca(self) -> str:
        return self._ca

    def _find(self, key: str, namespace: str, name: str) -> Object:
        found = self._store.find(key, namespace, name)
        if found is None:
            raise NodeError(f'{key} "{name}" not found')
        return found


class Lifecycle:
    """Follows the store: runs pods and ends them, empties namespaces, removes what has lost its owner."""

    def __init__(self, store: Store, node: Node, supplies: StoreSupplies) -> None:
        self._store = store
        self._node = node
        self._supplies = supplies
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[tuple[str, str]] = set()
        store.listen(self._on_event)

    async def close(self) -> None:
        """Wait for nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_event(self, event: Event) -> None:
        match event.key, event.type:
            case "pods", "ADDED":
                self._run(event.object)
            case "namespaces", "ADDED":
                self._furnish(event.object["metadata"]["name"])
        if event.type == "DELETED" and event.key in ("deployments.apps", "replicasets.apps"):
            self._orphans(event.object["metadata"]["uid"])
        if event.type == "DELETED" and event.key == DEFINITIONS:
            self._undefined(event.object["metadata"]["name"])

    def _furnish(self, namespace: str) -> None:
        metadata = {"namespace": namespace, "name": "default"}
        self._store.create(
            "serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        )
        metadata = {"namespace": namespace, "name": defaults.ROOT_CA}
        data = {"ca.crt": self._supplies.ca()}
        self._store.create(
            "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        )

    def _run(self, pod: Object) -> None:
        namespace, name, uid = (pod["metadata"][key] for key in ("namespace", "name", "uid"))

        def on_status(status: dict[str, Any]) -> None:
            now = self._store.find("pods", namespace, name)
            if now is None or now["metadata"]["uid"] != uid:
                return
            for reason, message in troubles(now.get("status", {}), status):
                self._store.create("events", warning(now, reason, message, "kubelet"))
            self._store.replace("pods", {**now, "status": status})

        self._node.run_pod(pod, self._supplies, on_status)

    def delete(self, key: str, thing: Object, grace_s: float | None = None) -> Object:
        """Begin to delete an object; what takes time goes on by itself. Returns it as it then is."""
        namespace, name = thing["metadata"].get("namespace", ""), thing["metadata"]["name"]
        if key not in ("pods", "namespaces"):
            return self._store.remove(key, namespace, name) or thing
        if (namespace, name) in self._ending:
            return thing
        self._ending.add((namespace, name))
        dying = {**thing, "metadata": {**thing["metadata"], "deletionTimestamp": now()}}
        if key == "namespaces":
            dying["status"] = {"phase": "Terminating"}
        marked = self._store.replace(key, dying)
        self._begin(self._end_pod(marked, grace_s) if key == "pods" else self._end_namespace(name))
        return marked

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("deleting failed", exc_info=error)

    async def _end_pod(self, pod: Object, grace_s: float | None) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        grace = float(pod["spec"]["terminationGracePeriodSeconds"]) if grace_s is None else grace_s
        try:
            await self._node.stop_pod(namespace, name, grace)
        except NodeError as error:
            _LOG.error("pod %s/%s: %s", namespace, name, error)
        self._ending.discard((namespace, name))
        self._store.remove("pods", namespace, name)

    async def _end_namespace(self, name: str) -> None:
        for key in ("deployments.apps", "replicasets.apps"):
            for thing in self._store.list(key, name):
                self._store.remove(key, name, thing["metadata"]["name"])
        await self._end_pods(name)
        for key in self._store.resources():
            for thing in self._store.list(key, name):
                self._store.remove(key, name, thing["metadata"]["name"])
        self._ending.discard(("", name))
        self._store.remove("namespaces", "", name)

    async def _end_pods(self, namespace: str) -> None:
        gone = asyncio.Event()

        def look(event: Event) -> None:
            if event.key == "pods" and not self._store.list("pods", namespace):
                gone.set()

        end = self._store.listen(look)
        try:
            for pod in self._store.list("pods", namespace):
                self.delete("pods", pod)
            if self._store.list("pods", namespace):
                await gone.wait()
        finally:
            end()

    def _undefined(self, key: str) -> None:
        for thing in self._store.list(key):
            self._store.remove(key, thing["metadata"].get("namespace", ""), thing["metadata"]["name"])

    def _orphans(self, owner: str) -> None:
        for key in _OWNED:
            for thing in self._store.list(key):
                if any(one["uid"] == owner for one in thing["metadata"].get("ownerReferences") or ()):
                    self.delete(key, thing)


def bootstrap(store: Store, address: str, front_proxy: Mapping[str, str]) -> None:
    """The objects that every cluster begins with."""
    for name in ("default", "kube-system"):
        store.create("namespaces", defaults.namespace(_object("v1", "Namespace", name)))
    authentication = _object("v1", "ConfigMap", "extension-apiserver-authentication", "kube-system")
    store.create("configmaps", {**authentication, "data": dict(front_proxy)})
    reader = "extension-apiserver-authentication-reader"
    role = _object("rbac.authorization.k8s.io/v1", "Role", reader, "kube-system")
    names = ["extension-apiserver-authentication"]
    rules = [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": names,
            "verbs": ["get", "list", "watch"],
        }
    ]
    store.create("roles.rbac.authorization.k8s.io", {**role, "rules": rules})
    kubernetes = _object("v1", "Service", "kubernetes", "default")
    spec = {
        "type": "ClusterIP",
        "clusterIP": defaults.KUBERNETES_ADDRESS,
        "clusterIPs": [defaults.KUBERNETES_ADDRESS],
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
    }
    store.create("services", {**kubernetes, "spec": spec})
    node = _object("v1", "Node", defaults.NODE)
    store.create("nodes", {**node, "status": node_status(address)})


def node_status(address: str) -> dict[str, Any]:
    """What a node says of itself."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    info = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "osImage": system,
        "kernelVersion": platform.release(),
        "containerRuntimeVersion": "embedded://processes",
        "operatingSystem": "linux",
    }
    return {
        "addresses": [{"type": "InternalIP", "address": address}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "Embedded", "message": ""}],
        "nodeInfo": info,
    }


def _object(api_version: str, kind: str, name: str, namespace: str = "") -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}

"""The lifecycle of pods, namespaces, and dependents of deleted owners."""

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
from conformance.clusters.embedded.api.object_store import Object, Store, WatchEvent, now
from conformance.clusters.embedded.api.warning_events import new_waiting_reasons, warning_event
from conformance.clusters.embedded.interface import Node, NodeError

_LOG = logging.getLogger(__name__)
_OWNED = ("replicasets.apps", "pods")


class StoreVolumeSources:
    """The sources of pods' volumes and environment in the store; implements interface.Supplies."""

    def __init__(self, store: Store, tokens: Tokens, ca: str) -> None:
        self._store = store
        self._tokens = tokens
        self._ca = ca

    def config_map(self, namespace: str, name: str) -> Mapping[str, bytes]:
        obj = self._find("configmaps", namespace, name)
        plain = {key: str(value).encode() for key, value in (obj.get("data") or {}).items()}
        return plain | {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}

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
    """Follows the store: runs and ends pods, empties namespaces, deletes dependents."""

    def __init__(self, store: Store, node: Node, sources: StoreVolumeSources) -> None:
        self._store = store
        self._node = node
        self._sources = sources
        self._tasks: set[asyncio.Task[None]] = set()
        self._terminating: set[tuple[str, str]] = set()
        store.subscribe(self._on_event)

    async def close(self) -> None:
        """Cancel running deletions."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_event(self, event: WatchEvent) -> None:
        match event.key, event.type:
            case "pods", "ADDED":
                self._run(event.object)
            case "namespaces", "ADDED":
                self._populate_namespace(event.object["metadata"]["name"])
        if event.type == "DELETED" and event.key in ("deployments.apps", "replicasets.apps"):
            self._delete_dependents(event.object["metadata"]["uid"])
        if event.type == "DELETED" and event.key == DEFINITIONS:
            self._delete_custom_objects(event.object["metadata"]["name"])

    def _populate_namespace(self, namespace: str) -> None:
        metadata = {"namespace": namespace, "name": "default"}
        self._store.create(
            "serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        )
        metadata = {"namespace": namespace, "name": defaults.ROOT_CA}
        data = {"ca.crt": self._sources.ca()}
        self._store.create(
            "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        )

    def _run(self, pod: Object) -> None:
        namespace, name, uid = (pod["metadata"][key] for key in ("namespace", "name", "uid"))

        def on_status(status: dict[str, Any]) -> None:
            now = self._store.find("pods", namespace, name)
            if now is None or now["metadata"]["uid"] != uid:
                return
            for reason, message in new_waiting_reasons(now.get("status", {}), status):
                self._store.create("events", warning_event(now, reason, message, "kubelet"))
            self._store.replace("pods", {**now, "status": status})

        self._node.run_pod(pod, self._sources, on_status)

    def delete(self, key: str, obj: Object, grace_s: float | None = None) -> Object:
        """Start deleting an object, in the background if that takes time. Returns its state."""
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        if key not in ("pods", "namespaces"):
            return self._store.remove(key, namespace, name) or obj
        if (namespace, name) in self._terminating:
            return obj
        self._terminating.add((namespace, name))
        terminating = {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": now()}}
        if key == "namespaces":
            terminating["status"] = {"phase": "Terminating"}
        marked = self._store.replace(key, terminating)
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
        self._terminating.discard((namespace, name))
        self._store.remove("pods", namespace, name)

    async def _end_namespace(self, name: str) -> None:
        for key in ("deployments.apps", "replicasets.apps"):
            for obj in self._store.list(key, name):
                self._store.remove(key, name, obj["metadata"]["name"])
        await self._end_pods(name)
        for key in self._store.resources():
            for obj in self._store.list(key, name):
                self._store.remove(key, name, obj["metadata"]["name"])
        self._terminating.discard(("", name))
        self._store.remove("namespaces", "", name)

    async def _end_pods(self, namespace: str) -> None:
        gone = asyncio.Event()

        def look(event: WatchEvent) -> None:
            if event.key == "pods" and not self._store.list("pods", namespace):
                gone.set()

        end = self._store.subscribe(look)
        try:
            for pod in self._store.list("pods", namespace):
                self.delete("pods", pod)
            if self._store.list("pods", namespace):
                await gone.wait()
        finally:
            end()

    def _delete_custom_objects(self, key: str) -> None:
        for obj in self._store.list(key):
            self._store.remove(key, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])

    def _delete_dependents(self, owner: str) -> None:
        for key in _OWNED:
            for obj in self._store.list(key):
                if any(each["uid"] == owner for each in obj["metadata"].get("ownerReferences") or ()):
                    self.delete(key, obj)


def bootstrap(store: Store, address: str, front_proxy: Mapping[str, str]) -> None:
    """Create the initial objects of a cluster."""
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
    """The status of the node."""
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

"""A cluster in memory: an API with objects, pods that are ready at once, and probes that answer."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema

from conformance.clusters import Account, ApiAnswer, ClusterError, Completed, Object
from conformance.drive.arena import CONTAINER
from conformance.drive.traffic import CTL
from smi_reference_mesh.install.mesh_objects import crds

from .fake_mesh import FakeMesh, Objects

SERVES: dict[str, tuple[str, ...]] = {
    "v1": ("Namespace", "Node", "Pod", "Service", "ServiceAccount", "ConfigMap", "Event", "Secret"),
    "apps/v1": ("Deployment",),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "split.smi-spec.io/v1alpha4": ("TrafficSplit",),
    "access.smi-spec.io/v1alpha3": ("TrafficTarget",),
    "specs.smi-spec.io/v1alpha4": ("HTTPRouteGroup", "TCPRoute", "UDPRoute"),
}
SHORT_NAMES = {one["spec"]["names"]["kind"]: one["spec"]["names"].get("shortNames", ()) for one in crds()}
DEFINITIONS = crds({"ca.crt": ""})
CLUSTER_SCOPED = {"Namespace", "Node"}
INJECT = "fake.example/inject"


@dataclass
class FakeCluster:
    """Implements `conformance.clusters.Cluster`."""

    name: str = "fake"
    kubectl: str = "--context fake"
    mesh: FakeMesh = field(default_factory=FakeMesh)
    serves: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(SERVES))
    forbidden: frozenset[tuple[str, str]] = frozenset()
    """Verbs on resources that one has no right to."""
    ready: bool = True
    on_apply: Callable[[Object], None] = lambda item: None
    on_trial: Callable[[Object], ApiAnswer] = lambda item: judged_by_schema(item)
    on_ask: Callable[[str, Mapping[str, Any]], None] = lambda pod, request: None
    created: list[str] = field(default_factory=list)
    objects: Objects = field(default_factory=dict)
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    closed: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # --- the API ------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        account: Account | None = None,
    ) -> ApiAnswer:
        with self._lock:
            if path == "/version":
                return ApiAnswer(200, {"gitVersion": "v1.31.0"})
            if path.endswith("/selfsubjectaccessreviews") and body is not None:
                asked = body["spec"]["resourceAttributes"]
                allowed = (asked["verb"], asked["resource"]) not in self.forbidden
                return ApiAnswer(201, {"status": {"allowed": allowed}})
            return self._discovery(path) or self._object(method, path, body, dict(query or {}), accept)

    def _discovery(self, path: str) -> ApiAnswer | None:
        if path == "/apis":
            groups = [one.split("/") for one in self.serves if "/" in one]
            listed = [
                {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}]}
                for group, version in groups
            ]
            return ApiAnswer(200, {"groups": listed})
        kinds = self.serves.get(path.removeprefix("/apis/"))
        if kinds is None:
            return ApiAnswer(404, {"message": "not found"}) if path.count("/") == 3 else None
        entries = [
            {"kind": kind, "name": _plural(kind), "shortNames": list(SHORT_NAMES.get(kind, ()))}
            for kind in kinds
        ]
        return ApiAnswer(200, {"resources": entries})

    def _object(
        self, method: str, path: str, body: Object | None, query: dict[str, str], accept: str
    ) -> ApiAnswer:
        parts = path.split("/")[3 if path.startswith("/api/") else 4 :]
        namespace = parts[1] if parts[0] == "namespaces" and len(parts) > 2 else ""
        plural, *names = parts[2:] if namespace else parts
        if plural == "events":
            return ApiAnswer(200, {"items": self.mesh.events(self.objects, namespace)})
        api = path.split("/")[2] if path.startswith("/api/") else "/".join(path.split("/")[2:4])
        (kind,) = [kind for kind in self.serves.get(api, ()) if _plural(kind) == plural] or [""]
        if method == "POST" and body is not None and "dryRun" in query:
            return self.on_trial(body)
        if method == "POST" and body is not None and "fieldValidation" in query:
            # Made by hand, which the schema is asked about; what one applies is taken to be in order.
            made = self.on_trial(body)
            return ApiAnswer(201, copy.deepcopy(self._store(made.body))) if made.status == 201 else made
        if method == "POST" and body is not None:
            return ApiAnswer(201, copy.deepcopy(self._store(body)))
        if "watch" in query:
            since = [event for version, event in self.events if version > int(query["resourceVersion"])]
            return ApiAnswer(200, copy.deepcopy(since))
        if not names and "as=Table" in accept:
            return ApiAnswer(200, _table(self.list(api, kind, namespace)))
        if not names:
            return ApiAnswer(200, {"items": self.list(api, kind, namespace)})
        found = self.objects.get((kind, namespace, names[0]))
        if found is None:
            return ApiAnswer(404, {"message": f"{path} not found", "reason": "NotFound"})
        if method == "DELETE":
            self.delete([found])
        elif method == "PATCH" and body is not None:
            marks = found["metadata"].get("annotations", {}) | body["metadata"]["annotations"]
            found = self._store({**found, "metadata": {**found["metadata"], "annotations": marks}})
        elif method == "PUT" and body is not None:
            found = self._store(body)
        return ApiAnswer(200, copy.deepcopy(found))

    def _store(self, item: Object) -> dict[str, Any]:
        stored: dict[str, Any] = copy.deepcopy(dict(item))
        metadata = stored["metadata"]
        key = (stored["kind"], metadata.get("namespace", ""), metadata["name"])
        self.events.append((len(self.events) + 1, {"type": "MODIFIED", "object": stored}))
        metadata["resourceVersion"] = str(len(self.events))
        self.created.append("/".join(key))
        if stored["kind"] == "Deployment":
            template = stored["spec"]["template"]
            marks = {**template["metadata"], "namespace": key[1], "name": f"{key[2]}-1"}
            self._store({"apiVersion": "v1", "kind": "Pod", "metadata": marks, "spec": template["spec"]})
        if stored["kind"] == "Pod":
            if INJECT in self.objects["Namespace", "", key[1]]["metadata"].get("labels", {}):
                stored["spec"]["containers"].append({"name": "sidecar"})
            ready = {"type": "Ready", "status": "True" if self.ready else "False"}
            stored["status"] = {
                "podIP": f"10.0.0.{len(self.objects)}",
                "conditions": [ready],
                "phase": "Running",
            }
        if stored["kind"] == "Service":
            before = self.objects.get(key, {}).get("spec", {}).get("clusterIP")
            address = before or f"10.1.{len(self.events) // 250}.{len(self.events) % 250 + 1}"
            stored["spec"].setdefault("clusterIP", address)
        self.objects[key] = stored
        return stored

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        if kind not in self.serves.get(api_version, ()):
            raise ClusterError(f"the cluster does not serve {api_version} (wanted for {kind})")
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        inside = f"/namespaces/{namespace}" if namespace and kind not in CLUSTER_SCOPED else ""
        return f"{root}{inside}/{_plural(kind)}" + (f"/{name}" if name else "")

    def apply(self, objects: Iterable[Object]) -> None:
        for item in objects:
            self.on_apply(item)
            self.path(item["apiVersion"], item["kind"])
            with self._lock:
                self._store(item)

    def delete(self, objects: Iterable[Object]) -> None:
        for item in objects:
            kind, name = item["kind"], item["metadata"]["name"]
            namespace = item["metadata"].get("namespace", "")
            with self._lock:
                self.objects.pop((kind, namespace, name), None)
                if kind == "Namespace":
                    self.objects = {key: one for key, one in self.objects.items() if key[1] != name}
                if kind == "Deployment":
                    self.objects.pop(("Pod", namespace, f"{name}-1"), None)

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> list[dict[str, Any]]:
        key, _, value = labels.partition("=")
        with self._lock:
            found = [
                one
                for (k, n, _), one in self.objects.items()
                if k == kind and (not namespace or n == namespace)
            ]
        matched = [
            one for one in found if not key or value in (one["metadata"].get("labels", {}).get(key), "")
        ]
        return [copy.deepcopy(one) for one in matched if not key or key in one["metadata"].get("labels", {})]

    def logs(self, namespace: str, pod: str, container: str, *, tail: int = 100) -> str:
        return f"log of {container}"

    def close(self) -> None:
        self.closed = True

    def run(
        self, namespace: str, pod: str, container: str, command: Sequence[str], timeout_s: float
    ) -> Completed:
        assert ("Pod", namespace, pod) in self.objects
        return Completed(0 if command[0] != "false" else 1, f"{container} ran {' '.join(command)}\n", "")

    def exec_line(
        self, namespace: str, pod: str, container: str, command: Sequence[str], line: str, timeout_s: float
    ) -> str:
        assert (container, tuple(command)) == (CONTAINER, CTL)
        request = json.loads(line)
        self.on_ask(pod, request)
        with self._lock:
            answer = self.mesh.answer(self.objects, self.objects["Pod", namespace, pod], request)
            return "".join(json.dumps(one) + "\n" for one in answer)


def judged_by_schema(item: Object) -> ApiAnswer:
    """What an API server answers that has the definitions of the reference mesh."""
    (definition,) = [one for one in DEFINITIONS if one["spec"]["names"]["kind"] == item["kind"]]
    version = str(item["apiVersion"]).rpartition("/")[2]
    (served,) = [one for one in definition["spec"]["versions"] if one["name"] == version]
    # Null stands for absent, unless the schema says that it is a value.
    given = json.loads(json.dumps(item), object_pairs_hook=_without_nulls)
    validator = jsonschema.Draft4Validator(served["schema"]["openAPIV3Schema"])
    for error in validator.iter_errors(given):
        return ApiAnswer(422, {"message": error.message, "reason": "Invalid"})
    return ApiAnswer(201, copy.deepcopy(dict(item)))


def _without_nulls(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if value is not None}


def _table(items: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [{"cells": [one["metadata"]["name"], one.get("spec", {}).get("service")]} for one in items]
    return {"columnDefinitions": [{"name": "Name"}, {"name": "Service"}], "rows": rows}


def _plural(kind: str) -> str:
    if kind.endswith("y"):
        return f"{kind.lower()[:-1]}ies"
    return f"{kind.lower()}es" if kind.endswith("s") else f"{kind.lower()}s"

"""The API server's defaults for created objects. Pure."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Collection, Mapping
from typing import Any

from conformance.clusters.embedded.api.api_errors import StatusError

NODE = "embedded"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
ROOT_CA = "kube-root-ca.crt"
SERVICE_RANGE = ipaddress.ip_network("10.96.0.0/16")
KUBERNETES_ADDRESS = "10.96.0.1"
_ACCOUNT_VOLUME = "kube-api-access"
_TOKEN_LIFETIME_S = 3607
_RESERVED = 10

Document = dict[str, Any]


def namespace(obj: Document, before: Mapping[str, Any] | None = None) -> Document:
    """A namespace has its name as a label, and starts active."""
    filled = copy.deepcopy(obj)
    filled["metadata"]["labels"] = {
        **(filled["metadata"].get("labels") or {}),
        NAMESPACE_LABEL: filled["metadata"]["name"],
    }
    return filled if before is not None else {**filled, "status": {"phase": "Active"}}


def pod(obj: Document, mounts_token: bool) -> Document:
    """A pod's account, token, and container defaults; it is scheduled at once."""
    filled = copy.deepcopy(obj)
    spec = filled["spec"]
    for name, value in (
        ("serviceAccountName", "default"),
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
    ):
        spec.setdefault(name, value)
    spec["nodeName"] = NODE
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    for container in containers:
        container.setdefault("imagePullPolicy", "IfNotPresent")
        for port in container.get("ports") or ():
            port.setdefault("protocol", "TCP")
    if spec.get("automountServiceAccountToken", mounts_token):
        if all(each["name"] != _ACCOUNT_VOLUME for each in spec.get("volumes") or ()):
            spec["volumes"] = [*(spec.get("volumes") or ()), _account_volume()]
        mount = {"name": _ACCOUNT_VOLUME, "mountPath": ACCOUNT_DIRECTORY, "readOnly": True}
        for container in containers:
            if all(each["mountPath"] != ACCOUNT_DIRECTORY for each in container.get("volumeMounts") or ()):
                container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
    return {**filled, "status": {"phase": "Pending"}}


def _account_volume() -> Document:
    token = {"expirationSeconds": _TOKEN_LIFETIME_S, "path": "token"}
    root = {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    field = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": token},
        {"configMap": root},
        {"downwardAPI": {"items": [field]}},
    ]
    return {"name": _ACCOUNT_VOLUME, "projected": {"defaultMode": 0o644, "sources": sources}}


def service(obj: Document, before: Mapping[str, Any] | None, used: Collection[str]) -> Document:
    """A service's type, ports and address, which survives updates. Raises StatusError."""
    filled = copy.deepcopy(obj)
    spec = filled["spec"]
    spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
    if spec["type"] == "ExternalName":
        return filled
    if not spec.get("clusterIP"):
        kept = (before or {}).get("spec", {}).get("clusterIP")
        spec["clusterIP"] = kept or _free(used)
    spec["clusterIPs"] = [spec["clusterIP"]]
    return filled


def _free(used: Collection[str]) -> str:
    for offset in range(_RESERVED, SERVICE_RANGE.num_addresses - 1):
        address = str(SERVICE_RANGE[offset])
        if address not in used:
            return address
    raise StatusError(500, "no free service address")


def deployment(obj: Document) -> Document:
    """A deployment's replicas and strategy."""
    filled = copy.deepcopy(obj)
    filled["spec"].setdefault("replicas", 1)
    filled["spec"].setdefault("strategy", {"type": "RollingUpdate"})
    return filled


def secret(obj: Document, encode: Any) -> Document:
    """A secret's ``stringData`` becomes ``data``."""
    filled = dict(obj)
    given = filled.pop("stringData", None) or {}
    filled["data"] = {**(filled.get("data") or {}), **{key: encode(value) for key, value in given.items()}}
    return filled

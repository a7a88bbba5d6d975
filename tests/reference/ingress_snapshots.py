"""The ingress and its objects in compiled snapshots."""

from __future__ import annotations

from typing import Any

from compiler_snapshots import NAMESPACE

from smi_reference_mesh.kube.objects import Workload

JSON = dict[str, Any]

INGRESS_POD = Workload("smi-reference", "gate")
IDENTITY = {"kind": "ServiceAccount", "namespace": INGRESS_POD.namespace, "name": INGRESS_POD.name}


def ingress_pod(ip: str = "10.0.0.91") -> JSON:
    """The pod of the ingress."""
    return {
        "metadata": {
            "namespace": INGRESS_POD.namespace,
            "name": INGRESS_POD.name,
            "uid": "gate",
            "annotations": {"reference.smi-conformance.dev/status": "ingress"},
        },
        "spec": {"serviceAccountName": INGRESS_POD.name, "containers": []},
        "status": {"phase": "Running", "podIP": ip},
    }


def path(service: str, port: int | str = 8080, **more: Any) -> JSON:
    where = {"name": port} if isinstance(port, str) else {"number": port}
    backend = {"service": {"name": service, "port": where}}
    return {"path": "/", "pathType": "Prefix", "backend": backend, **more}


def ingress(
    service: str = "web",
    *,
    host: str | None = "shop.test",
    name: str = "shop",
    class_name: str = "reference",
    created: str = "2024-01-01T00:00:00Z",
    port: int | str = 8080,
    **spec: Any,
) -> JSON:
    """An Ingress object with one rule that routes everything of a host to a service."""
    rule: JSON = {"http": {"paths": [path(service, port)]}, **({"host": host} if host else {})}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"namespace": NAMESPACE, "name": name, "creationTimestamp": created, "uid": name},
        "spec": {"ingressClassName": class_name, "rules": [rule], **spec},
    }

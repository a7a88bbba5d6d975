"""Objects for the embedded cluster's API server, in the namespace `shop`."""

from __future__ import annotations

from typing import Any

PODS = "/api/v1/namespaces/shop/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def thing(api_version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"namespace": "shop", "name": name}, **rest}


def config(name: str, **data: str) -> dict[str, Any]:
    return thing("v1", "ConfigMap", name, data=data)


def pod_spec(**more: Any) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}]
    return {"containers": [{"name": "main", "image": "python", "command": ["true"], "ports": ports}], **more}


def pod(name: str, **more: Any) -> dict[str, Any]:
    document = thing("v1", "Pod", name, spec=pod_spec(**more))
    document["metadata"]["labels"] = {"app": name}
    return document


def deployment(name: str, replicas: int = 1, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod_spec()}
    return thing("apps/v1", "Deployment", name, spec={
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec,
    })  # fmt: skip


def service(name: str, port: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return thing("v1", "Service", name, spec={"selector": {"app": name}, "ports": [port], **spec})


def is_ready(body: Any) -> bool:
    conditions = body.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def names(body: Any) -> list[str]:
    return [one["metadata"]["name"] for one in body["items"]]


def events(body: Any) -> list[tuple[str, Any]]:
    """Types and objects of a watch's events until its end."""
    lines = body if isinstance(body, list) else [body] if body else []
    return [(one["type"], one["object"]) for one in lines]

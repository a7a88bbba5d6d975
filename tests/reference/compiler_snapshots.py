"""Small snapshots to compile, written as Kubernetes objects."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot

JSON = dict[str, Any]

NAMESPACE = "shop"


def namespace(name: str = NAMESPACE, *, meshed: bool = True, permissive: bool = False) -> JSON:
    labels = {"reference.smi-conformance.dev/inject": "enabled"} if meshed else {}
    annotations = {"reference.smi-conformance.dev/access": "permissive"} if permissive else {}
    return {"metadata": {"name": name, "labels": labels, "annotations": annotations}}


def pod(
    name: str,
    ip: str,
    *,
    space: str = NAMESPACE,
    account: str | None = None,
    labels: Mapping[str, str] | None = None,
    ports: Mapping[str, int] | None = None,
    udp: Iterable[int] = (),
    meshed: bool = True,
) -> JSON:
    container = {
        "name": "app",
        "ports": [
            {"name": key, "containerPort": number}
            for key, number in ({"http": 8080} if ports is None else ports).items()
        ]
        + [{"name": f"udp-{number}", "containerPort": number, "protocol": "UDP"} for number in udp],
    }
    sidecar = {"name": "smi-sidecar", "ports": [{"containerPort": 15021}]}
    return {
        "metadata": {
            "namespace": space,
            "name": name,
            "labels": dict(labels if labels is not None else {"app": name}),
            "annotations": {"reference.smi-conformance.dev/status": "injected"} if meshed else {},
        },
        "spec": {
            "serviceAccountName": account or name,
            "containers": [container],
            **({"initContainers": [sidecar]} if meshed else {}),
        },
        "status": {"phase": "Running", "podIP": ip},
    }


def service(
    name: str,
    address: str,
    *ports: Mapping[str, Any],
    space: str = NAMESPACE,
    selector: Mapping[str, str] | None = None,
) -> JSON:
    return {
        "metadata": {"namespace": space, "name": name},
        "spec": {
            "clusterIP": address,
            "selector": dict(selector if selector is not None else {"app": name}),
            "ports": [dict(each) for each in ports or (http(8080),)],
        },
    }


def http(number: int, name: str = "http", target: int | str | None = None) -> JSON:
    return {"name": name, "port": number, "targetPort": target or number, "appProtocol": "http"}


def tcp(number: int, name: str = "tcp", target: int | str | None = None) -> JSON:
    return {"name": name, "port": number, "targetPort": target or number, "appProtocol": "tcp"}


def slices(services: Sequence[JSON], pods: Sequence[JSON]) -> list[JSON]:
    """The EndpointSlices that Kubernetes' endpoint controller would make of services and ready pods."""
    found = []
    for each in services:
        selector, space = each["spec"]["selector"], each["metadata"]["namespace"]
        for target in pods:
            metadata = target["metadata"]
            if metadata["namespace"] == space and selector and selector.items() <= metadata["labels"].items():
                found.append(endpoint_slice(each, target))
    return found


def endpoint_slice(of: JSON, behind: JSON, *, ready: bool = True) -> JSON:
    numbers = {port.get("name"): port["containerPort"] for port in behind["spec"]["containers"][0]["ports"]}
    ports = [
        {"name": port["name"], "protocol": "TCP", "port": numbers.get(port["targetPort"], port["targetPort"])}
        for port in of["spec"]["ports"]
    ]
    name = of["metadata"]["name"]
    return {
        "metadata": {
            "namespace": of["metadata"]["namespace"],
            "name": f"{name}-{behind['metadata']['name']}",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [
            {
                "addresses": [behind["status"]["podIP"]],
                "conditions": {"ready": ready},
                "targetRef": {
                    "kind": "Pod",
                    **{key: behind["metadata"][key] for key in ("namespace", "name")},
                },
            }
        ],
    }


def split(
    root: str, weights: Mapping[str, Any], *, name: str = "split", matches: Iterable[str] | None = None
) -> JSON:
    spec: JSON = {
        "service": root,
        "backends": [{"service": backend, "weight": weight} for backend, weight in weights.items()],
    }
    if matches is not None:
        spec["matches"] = [{"kind": "HTTPRouteGroup", "name": group} for group in matches]
    return _smi("split", "TrafficSplit", name, spec)


def group(name: str, *matches: Mapping[str, Any]) -> JSON:
    return _smi("specs", "HTTPRouteGroup", name, {"matches": [dict(match) for match in matches]})


def tcp_route(name: str, *ports: int) -> JSON:
    return _smi("specs", "TCPRoute", name, {"matches": {"ports": list(ports)}})


def udp_route(name: str, *ports: int) -> JSON:
    return _smi("specs", "UDPRoute", name, {"matches": {"ports": list(ports)}})


def rule(kind: str, name: str, *matches: str) -> JSON:
    return {"kind": kind, "name": name, **({"matches": list(matches)} if matches else {})}


def account(name: str, space: str = NAMESPACE) -> JSON:
    return {"kind": "ServiceAccount", "name": name, "namespace": space}


def target(
    destination: str | JSON, sources: Iterable[str | JSON], rules: Iterable[JSON], *, name: str = "target"
) -> JSON:
    subjects = [account(each) if isinstance(each, str) else each for each in (destination, *sources)]
    spec = {"destination": subjects[0], "sources": subjects[1:], "rules": list(rules)}
    return _smi("access", "TrafficTarget", name, spec)


def binding(name: str, **schemes: Any) -> JSON:
    return _smi("access", "IdentityBinding", name, {"schemes": schemes})


def _smi(api: str, kind: str, name: str, spec: Mapping[str, Any]) -> JSON:
    return {
        "apiVersion": f"{api}.smi-spec.io/v1alpha4",
        "kind": kind,
        "metadata": {"namespace": NAMESPACE, "name": name, "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": copy.deepcopy(dict(spec)),
    }


PLURALS = {
    "TrafficSplit": "trafficsplits",
    "TrafficTarget": "traffictargets",
    "IdentityBinding": "identitybindings",
    "HTTPRouteGroup": "httproutegroups",
    "TCPRoute": "tcproutes",
    "UDPRoute": "udproutes",
}


def snapshot(*policies: JSON, permissive: bool = False, **replaced: Sequence[JSON]) -> ClusterSnapshot:
    """A shop: client, root service `web` over v1 and v2 (each with a service), and a TCP service `db`."""
    pods = [
        pod("client", "10.0.0.1"),
        pod("stranger", "10.0.0.2"),
        pod("v1", "10.0.0.11", labels={"app": "v1", "web": "yes"}),
        pod("v2", "10.0.0.12", labels={"app": "v2", "web": "yes"}, ports={"http": 8081}),
        pod("db", "10.0.0.21", ports={"tcp": 9000}),
        pod("plain", "10.0.0.31", meshed=False),
    ]
    services = [
        service("web", "10.1.0.1", selector={"web": "yes"}),
        service("v1", "10.1.0.11", http(8080, target="http")),
        service("v2", "10.1.0.12", http(8080, target="http")),
        service("db", "10.1.0.21", tcp(9000)),
        service("db2", "10.1.0.22", tcp(9000), selector={"app": "db"}),
        service("plain", "10.1.0.31"),
    ]
    objects: dict[str, Sequence[JSON]] = {
        "namespaces": [namespace(permissive=permissive)],
        "pods": pods,
        "services": services,
        "endpointslices": slices(services, pods),
        **replaced,
    }
    for each in policies:
        plural = PLURALS[each["kind"]]
        objects[plural] = [*objects.get(plural, ()), each]
    return ClusterSnapshot({plural: tuple(each) for plural, each in objects.items()})


def workload(name: str, space: str = NAMESPACE) -> Workload:
    return Workload(space, name)

"""The snapshot in the compiler's terms: services, ports, endpoints, pods and identities."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from smi_reference_mesh.kube.objects import Object, account_of, labels_of, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.membership import is_enabled, is_meshed, is_permissive
from smi_reference_mesh.names import spiffe_id
from smi_reference_mesh.smi.policies import Policies, policies_of

Protocol = Literal["http", "tcp"]
Name = tuple[str, str]

_HTTP_APP_PROTOCOLS = {"http", "http2", "h2c", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws"}
_TCP_NAME_PREFIXES = {"tcp", "tls", "https", "mongo", "mysql", "redis"}
_OVER = {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port of a service; `target` is a number or the name of a container port."""

    number: int
    name: str
    target: int | str
    protocol: Protocol


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """A ready endpoint of a service port."""

    ip: str
    port: int
    meshed: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A service of a meshed namespace; `identities` are those of the pods that it selects."""

    namespace: str
    name: str
    addresses: tuple[str, ...]
    ports: tuple[Port, ...]
    endpoints: Mapping[str, tuple[Endpoint, ...]]
    identities: frozenset[str]

    def port(self, number: int) -> Port | None:
        """The port of a number, if the service exposes it."""
        return next((port for port in self.ports if port.number == number), None)


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """The compiler's input, derived from a snapshot."""

    services: Mapping[Name, Service]
    pods: Mapping[Name, Object]
    selecting: Mapping[Name, tuple[Service, ...]]
    meshed_addresses: tuple[str, ...]
    permissive: frozenset[str]
    policies: Policies


@lru_cache(maxsize=4)
def mesh_of(snapshot: ClusterSnapshot) -> Mesh:
    """The mesh of a snapshot; cached, since all workloads share it."""
    namespaces = snapshot.of("namespaces")
    enabled = {name_of(each) for each in namespaces if is_enabled(each)}
    pods = {(namespace_of(each), name_of(each)): each for each in snapshot.of("pods") if _alive(each)}
    meshed = {ip: pod for pod in pods.values() if is_meshed(pod) for ip in addresses_of(pod)}
    selected = _selected(snapshot.of("services"), pods.values())
    slices = _slices_by_service(snapshot.of("endpointslices"))
    services = {
        (namespace_of(each), name_of(each)): _service(
            each, selected[_key(each)], slices.get(_key(each), []), meshed.keys()
        )
        for each in sorted(snapshot.of("services"), key=_key)
        if namespace_of(each) in enabled and each.get("spec", {}).get("type") != "ExternalName"
    }
    return Mesh(
        services=services,
        pods=pods,
        selecting=_selecting(services, selected),
        meshed_addresses=tuple(sorted(meshed)),
        permissive=frozenset(name_of(each) for each in namespaces if is_permissive(each)),
        policies=policies_of(snapshot),
    )


def _key(thing: Object) -> Name:
    return namespace_of(thing), name_of(thing)


def _alive(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") not in _OVER


def is_address(text: object) -> bool:
    """Whether a string is an IP address."""
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


def addresses_of(pod: Object) -> tuple[str, ...]:
    """The IP addresses of a pod; none for a pod in its node's network, whose addresses other pods share."""
    if pod.get("spec", {}).get("hostNetwork"):
        return ()
    status = pod.get("status", {})
    found = [status.get("podIP"), *(each.get("ip") for each in status.get("podIPs") or ())]
    return tuple(sorted({ip for ip in found if ip and is_address(ip)}))


def identity_of(pod: Object) -> str:
    """The SPIFFE ID of a pod."""
    return spiffe_id(namespace_of(pod), account_of(pod))


def selects(labels: Mapping[str, str] | None, pod: Object) -> bool:
    """Whether a pod has all labels of a selector; an empty selector selects nothing."""
    return bool(labels) and (labels or {}).items() <= labels_of(pod).items()


def _selected(services: Iterable[Object], pods: Iterable[Object]) -> dict[Name, tuple[Object, ...]]:
    by_namespace: dict[str, list[Object]] = {}
    for pod in pods:
        by_namespace.setdefault(namespace_of(pod), []).append(pod)
    return {
        _key(each): tuple(
            pod
            for pod in by_namespace.get(namespace_of(each), ())
            if selects(each.get("spec", {}).get("selector"), pod)
        )
        for each in services
    }


def _selecting(
    services: Mapping[Name, Service], selected: Mapping[Name, tuple[Object, ...]]
) -> dict[Name, tuple[Service, ...]]:
    found: dict[Name, list[Service]] = {}
    for name, service in services.items():
        for pod in selected[name]:
            found.setdefault(_key(pod), []).append(service)
    return {pod: tuple(each) for pod, each in found.items()}


def _slices_by_service(slices: Iterable[Object]) -> dict[Name, list[Object]]:
    found: dict[Name, list[Object]] = {}
    for each in slices:
        service = labels_of(each).get("kubernetes.io/service-name")
        if service and each.get("addressType") in ("IPv4", "IPv6"):
            found.setdefault((namespace_of(each), service), []).append(each)
    return found


def _service(
    source: Object, pods: Iterable[Object], slices: Iterable[Object], meshed: Iterable[str]
) -> Service:
    spec = source.get("spec", {})
    addresses = {*(spec.get("clusterIPs") or ()), spec.get("clusterIP")}
    ports = tuple(sorted(_ports(spec), key=lambda port: port.number))
    return Service(
        namespace=namespace_of(source),
        name=name_of(source),
        addresses=tuple(sorted(each for each in addresses if each and is_address(each))),
        ports=ports,
        endpoints=_endpoints(slices, meshed),
        identities=frozenset(identity_of(pod) for pod in pods if is_meshed(pod)),
    )


def _ports(spec: Mapping[str, Any]) -> Iterator[Port]:
    for each in spec.get("ports") or ():
        if each.get("protocol", "TCP") == "TCP":
            number = int(each["port"])
            name = each.get("name") or ""
            yield Port(
                number, name, each.get("targetPort") or number, protocol_of(name, each.get("appProtocol"))
            )


def protocol_of(name: str, app_protocol: str | None = None) -> Protocol:
    """The protocol of a port: by its appProtocol, else by its name's prefix, else HTTP."""
    if app_protocol:
        return "http" if app_protocol.lower() in _HTTP_APP_PROTOCOLS else "tcp"
    return "tcp" if name.split("-")[0] in _TCP_NAME_PREFIXES else "http"


def _endpoints(slices: Iterable[Object], meshed: Iterable[str]) -> dict[str, tuple[Endpoint, ...]]:
    found: dict[str, set[Endpoint]] = {}
    for each in slices:
        ready = [ip for ip in _ready(each) if is_address(ip)]
        for port in each.get("ports") or ():
            if port.get("port") and port.get("protocol", "TCP") == "TCP":
                known = found.setdefault(port.get("name") or "", set())
                known.update(Endpoint(ip, int(port["port"]), ip in meshed) for ip in ready)
    return {name: tuple(sorted(endpoints)) for name, endpoints in found.items()}


def _ready(endpoint_slice: Object) -> Iterator[str]:
    for each in endpoint_slice.get("endpoints") or ():
        # Unknown readiness counts as ready: discovery.k8s.io/v1, EndpointConditions.
        if (each.get("conditions") or {}).get("ready") is not False:
            yield from each.get("addresses") or ()

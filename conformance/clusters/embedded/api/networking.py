"""Service routing: EndpointSlices from services and pods, and the node's routes and host names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from conformance.clusters.embedded.api import defaults
from conformance.clusters.embedded.api.deployment_controller import is_ready
from conformance.clusters.embedded.api.object_store import Object, Store, WatchEvent
from conformance.clusters.embedded.api.service_client import SERVICE_LABEL, SLICES, ready_endpoints
from conformance.clusters.embedded.interface import EndpointAddress, HostName, Node, ServiceRule

API_PORT = 6443
_TERMINAL_PHASES = ("Succeeded", "Failed")
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_CONTROLLER = "endpointslice-controller.k8s.io"
"""Slices with another manager, for services without a selector, are left alone."""
_FORMS = ("{name}.{namespace}", "{name}.{namespace}.svc", "{name}.{namespace}.svc.cluster.local")


class Networking:
    """Keeps EndpointSlices and the node's routes in sync with services and pods."""

    def __init__(self, store: Store, node: Node) -> None:
        self._store = store
        self._node = node
        self._woken = asyncio.Event()
        store.subscribe(self._on_event)

    def _on_event(self, event: WatchEvent) -> None:
        if event.key in ("pods", "services", SLICES):
            self._woken.set()

    async def run(self) -> None:
        """Reconcile until cancelled. Raises NodeError: the node's routes then contradict the objects."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            self._slices()
            services, slices = self._store.list("services"), self._store.list(SLICES)
            # The next iteration handles changes during this one.
            await self._node.route(
                list(service_rules(services, slices, self._node.address)), list(host_names(services, slices))
            )

    def _slices(self) -> None:
        pods = self._store.list("pods")
        wanted = {
            (each["metadata"]["namespace"], each["metadata"]["name"]): each
            for service in self._store.list("services")
            for each in endpoint_slices(service, pods)
        }
        for item in self._store.list(SLICES):
            place = item["metadata"]["namespace"], item["metadata"]["name"]
            if place not in wanted and item["metadata"].get("labels", {}).get(_MANAGED_BY) == _CONTROLLER:
                self._store.remove(SLICES, *place)
        for place, item in wanted.items():
            if self._store.find(SLICES, *place) is None:
                if self._store.find("namespaces", "", place[0]) is not None:
                    self._store.create(SLICES, item)
            else:
                self._store.replace(SLICES, item)


def endpoint_slices(service: Object, pods: Iterable[Object]) -> Iterator[Object]:
    """The EndpointSlices of a service, one for each mapping of its ports to ports of pods."""
    metadata, spec = service["metadata"], service["spec"]
    selector = spec.get("selector")
    if not selector:
        return
    by_ports: dict[tuple[tuple[str, str, int], ...], list[Object]] = {}
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        status = pod.get("status", {})
        if pod["metadata"]["namespace"] != metadata["namespace"] or not selector.items() <= labels.items():
            continue
        if not status.get("podIP") or status.get("phase") in _TERMINAL_PHASES:
            continue
        by_ports.setdefault(tuple(_ports(spec, pod)), []).append(pod)
    for number, ports in enumerate(sorted(by_ports)):
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": metadata["namespace"],
                "name": f"{metadata['name']}-{number}",
                "labels": {SERVICE_LABEL: metadata["name"], _MANAGED_BY: _CONTROLLER},
            },
            "addressType": "IPv4",
            "ports": [{"name": name, "protocol": protocol, "port": port} for name, protocol, port in ports],
            "endpoints": [_endpoint(pod) for pod in by_ports[ports]],
        }


def _ports(spec: Mapping[str, Any], pod: Object) -> Iterator[tuple[str, str, int]]:
    sidecars = [
        each for each in pod["spec"].get("initContainers") or () if each.get("restartPolicy") == "Always"
    ]
    named = {
        port.get("name"): port["containerPort"]
        for container in [*sidecars, *pod["spec"]["containers"]]
        for port in container.get("ports") or ()
    }
    for port in spec.get("ports") or ():
        target = named.get(port["targetPort"]) if isinstance(port["targetPort"], str) else port["targetPort"]
        if target is not None:
            yield port.get("name") or "", port["protocol"], int(target)


def _endpoint(pod: Object) -> dict[str, Any]:
    terminating = "deletionTimestamp" in pod["metadata"]
    ready = is_ready(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not terminating, "serving": ready, "terminating": terminating},
        "nodeName": defaults.NODE,
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    }


def _backends(slices: Sequence[Object], service: Object, port: str) -> list[EndpointAddress]:
    metadata = service["metadata"]
    own = [item for item in slices if item["metadata"]["namespace"] == metadata["namespace"]]
    return [EndpointAddress(*place) for place in ready_endpoints(own, metadata["name"], port)]


def service_rules(services: Iterable[Object], slices: Sequence[Object], node: str) -> Iterator[ServiceRule]:
    """The backends of all virtual addresses and ports."""
    for service in services:
        address = service["spec"].get("clusterIP")
        if not address or address == "None":
            continue
        for port in service["spec"].get("ports") or ():
            backends = _backends(slices, service, port.get("name") or "")
            if address == defaults.KUBERNETES_ADDRESS:
                backends = [EndpointAddress(node, API_PORT)]
            yield ServiceRule(address, port["protocol"], port["port"], tuple(sorted(backends, key=str)))


def host_names(services: Iterable[Object], slices: Sequence[Object]) -> Iterator[HostName]:
    """The addresses of services' names: the service's own, or the pods' for headless services."""
    for service in services:
        metadata, address = service["metadata"], service["spec"].get("clusterIP")
        addresses = [address] if address and address != "None" else sorted(_addresses(service, slices))
        for each in addresses:
            yield HostName(metadata["name"], each, metadata["namespace"])
            for form in _FORMS:
                full = form.format(name=metadata["name"], namespace=metadata["namespace"])
                yield HostName(full, each)


def _addresses(service: Object, slices: Sequence[Object]) -> set[str]:
    if service["spec"].get("clusterIP") != "None":
        return set()
    ports = service["spec"].get("ports") or ()
    return {backend.ip for port in ports for backend in _backends(slices, service, port.get("name") or "")}

"""Inbound UDP: each port that a pod declares has a listener of its own, unless nobody may call it.

Datagrams carry no certificates, so their source address is their only identity. Outbound datagrams bypass the
sidecar, so UDP is not split.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from smi_reference_mesh.compiler import access, envoy
from smi_reference_mesh.compiler.configuration import JSON
from smi_reference_mesh.compiler.mesh import Mesh
from smi_reference_mesh.kube.objects import Object
from smi_reference_mesh.membership import udp_ports_of
from smi_reference_mesh.names import UDP_PORT


@dataclass(frozen=True, slots=True)
class Datagrams:
    """The listener and the cluster of one UDP port."""

    listener: JSON
    cluster: JSON


def datagrams_of(mesh: Mesh, pod: Object, granted: Iterable[access.Grant] | None) -> Iterator[Datagrams]:
    """The UDP ports of a pod that accept callers; `granted` is None without access control.

    A port without callers has no listener, so its callers get an immediate error.
    """
    grants = None if granted is None else tuple(granted)
    for redirected, port in enumerate(udp_ports_of(pod), UDP_PORT):
        callers = None if grants is None else access.datagram_addresses(mesh, grants, port)
        if callers is None or callers:
            name = f"datagrams|{port}"
            cluster = envoy.static_cluster(name, ("127.0.0.1", port))
            yield Datagrams(_listener(name, redirected, callers), cluster)


def _listener(name: str, port: int, callers: Collection[str] | None) -> JSON:
    return {
        "name": name,
        "traffic_direction": "INBOUND",
        "address": envoy.udp_address("0.0.0.0", port),  # noqa: S104 - other pods must reach it
        "udp_listener_config": {},
        "listener_filters": [envoy.udp_proxy("in", name, callers)],
    }

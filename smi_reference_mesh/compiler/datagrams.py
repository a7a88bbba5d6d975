"""UDP that comes in: each port that a pod declares has a listener of its own, where anybody may call it.

Datagrams carry no certificates: whose they are is told by the address that they come from alone. What a pod
sends is none of its sidecar's concern, so flows of UDP are not split.
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
    """What takes the datagrams of one port, and where they go."""

    listener: JSON
    cluster: JSON


def datagrams_of(mesh: Mesh, pod: Object, granted: Iterable[access.Grant] | None) -> Iterator[Datagrams]:
    """The UDP ports of a pod that somebody may call; ``granted`` is None where there is no access control.

    Where nobody may, nothing listens, and the caller is told so at once.
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
        "address": envoy.udp_address("0.0.0.0", port),  # noqa: S104 - other pods are to reach it
        "udp_listener_config": {},
        "listener_filters": [envoy.udp_proxy("in", name, callers)],
    }

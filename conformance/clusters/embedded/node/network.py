"""The node's network: a bridge, a veth pair for each pod, and no way out.

Each pod has its own address, with the node as its only neighbour: the node routes all traffic between pods,
so its connection tracking sees both directions of redirected connections. IPv4 only.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pyroute2 import AsyncIPRoute  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

from conformance.clusters.embedded.interface import NodeError
from conformance.clusters.embedded.node.spawner_client import Namespaces

BRIDGE = "pods"
NODE_ADDRESS = "10.244.0.1"
POD_RANGE = ipaddress.IPv4Network("10.244.0.0/16")
SERVICE_RANGE = ipaddress.IPv4Network("10.96.0.0/16")

# By default a bridge has the lowest address of its ports, which changes as pods come and go. Packets to the
# old address are dropped until the pods' neighbour entries expire: for seconds, or most of a minute.
_HARDWARE_ADDRESS = "02:00:0a:f4:00:01"

_MAX_PODS = 4096
_ON_LINK = 4
_LOOPBACK = 1
_SYSCTL = Path("/proc/sys/net")
_SYSCTLS: Mapping[str, str] = {
    "ipv4/ip_forward": "1",
    # The node's connections to a service that leads back to the caller return on the outgoing interface.
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv6/conf/all/disable_ipv6": "1",
    # Translate only routed packets, not bridged ones.
    "bridge/bridge-nf-call-iptables": "0",
}
# A connection to an address without a pod must fail at once.
_BRIDGE_SYSCTLS: Mapping[str, str] = {
    f"ipv4/conf/{BRIDGE}/send_redirects": "0",
    f"ipv4/neigh/{BRIDGE}/retrans_time_ms": "100",
}
_OPTIONAL = ("ipv6/", "bridge/")


class Addresses:
    """Addresses of pods; a released address is the last to be allocated again."""

    def __init__(self) -> None:
        usable = (str(address) for address in POD_RANGE.hosts())
        self._free = list(islice((address for address in usable if address != NODE_ADDRESS), _MAX_PODS))
        self._free.reverse()

    def allocate(self) -> str:
        """A free address. Raises NodeError."""
        if not self._free:
            raise NodeError("the embedded cluster has no free address for a further pod")
        return self._free.pop()

    def release(self, address: str) -> None:
        """Make an address available again."""
        self._free.insert(0, address)


class Network:
    """The bridge and its interfaces."""

    def __init__(self) -> None:
        self._routes: AsyncIPRoute | None = None
        self._bridge = 0
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Create the bridge in the network namespace of this process. Raises NodeError."""
        self._routes = AsyncIPRoute()
        try:
            _set(_SYSCTLS)
            await self._routes.setup_endpoint()
            await self._routes.link("set", index=_LOOPBACK, state="up")
            await self._routes.link("add", ifname=BRIDGE, kind="bridge", address=_HARDWARE_ADDRESS)
            self._bridge = await _index(self._routes, BRIDGE)
            await self._routes.addr(
                "add", index=self._bridge, address=NODE_ADDRESS, prefixlen=POD_RANGE.prefixlen
            )
            await self._routes.link("set", index=self._bridge, state="up")
            # The firewall rejects addresses without a service, and it sees only packets with a route.
            await self._routes.route("add", dst=str(SERVICE_RANGE), oif=self._bridge)
            _set(_BRIDGE_SYSCTLS)
        except (NetlinkError, OSError) as error:
            raise NodeError(f"cannot make the network of the embedded cluster: {error}") from error

    async def close(self) -> None:
        """Remove the bridge."""
        if self._routes is None:
            return
        routes, self._routes = self._routes, None
        if self._bridge:
            await routes.link("del", index=self._bridge)
        routes.close()

    async def attach(self, namespaces: Namespaces, address: str) -> None:
        """Connect a pod, until its namespaces end. Raises NodeError."""
        if self._routes is None:
            raise NodeError("the network of the embedded cluster is closed")
        name = interface_of(address)
        peer: dict[str, Any] = {"ifname": "eth0", "net_ns_fd": namespaces.network}
        try:
            async with self._lock:
                await self._routes.link(
                    "add", ifname=name, kind="veth", peer=peer, master=self._bridge, state="up"
                )
            async with AsyncIPRoute(fileno=os.dup(namespaces.netlink)) as pod:
                await pod.link("set", index=_LOOPBACK, state="up")
                inner = await _index(pod, "eth0")
                await pod.addr("add", index=inner, address=address, prefixlen=32)
                await pod.link("set", index=inner, state="up")
                await pod.route("add", dst="0.0.0.0/0", gateway=NODE_ADDRESS, oif=inner, flags=_ON_LINK)
        except (NetlinkError, OSError) as error:
            raise NodeError(f"cannot connect a pod to the network: {error}") from error


def interface_of(address: str) -> str:
    """The name of the node's end of a pod's pair of interfaces."""
    return f"pod-{int(ipaddress.IPv4Address(address)) - int(POD_RANGE.network_address):x}"


async def _index(routes: AsyncIPRoute, name: str) -> int:
    found = await routes.link_lookup(ifname=name)
    if not found:
        raise OSError(f"no interface {name}")
    return int(found[0])


def _set(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        path = _SYSCTL / name
        if path.exists() or not name.startswith(_OPTIONAL):
            path.write_text(value)

"""Writes the rules of services into the network namespace of this process, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from conformance.clusters.embedded.interface import EndpointAddress, NodeError, ServiceRule
from conformance.clusters.embedded.node.service_rules import rules
from smi_reference_mesh import firewall

_NAME = "smi-services"
# A service that needs every kind of rule.
_TRIAL = ServiceRule(
    "10.96.0.1", "TCP", 1, (EndpointAddress("10.244.0.2", 1), EndpointAddress("10.244.0.3", 1))
)


class NodeFirewall:
    """The current rules."""

    def __init__(self) -> None:
        self._firewall = firewall.Firewall(_NAME)
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Try every kind of rule, then start without services. Raises NodeError."""
        await self.put([_TRIAL])
        await self.put([])

    async def put(self, services: Sequence[ServiceRule]) -> None:
        """Route the addresses of these services to their backends. Raises NodeError."""
        try:
            # A thread, since the kernel waits for all processors, or another program writes the rules.
            async with self._lock:
                await asyncio.to_thread(self._firewall.put, rules(services))
        except firewall.FirewallError as error:
            raise NodeError(str(error)) from error

    def close(self) -> None:
        """Leaves the rules, which end with the network namespace."""
        self._firewall.close()

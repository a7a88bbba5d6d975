"""Writes the rules of services into the network namespace of this process, beside all that it does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from conformance.clusters.embedded.interface import Backend, NodeError, ServiceRule
from conformance.clusters.embedded.node.services import rules
from smi_reference_mesh import firewall

_NAME = "smi-services"
# All kinds of rules that a service may need.
_TRIAL = ServiceRule("10.96.0.1", "TCP", 1, (Backend("10.244.0.2", 1), Backend("10.244.0.3", 1)))


class Firewall:
    """The rules in force."""

    def __init__(self) -> None:
        self._firewall = firewall.Firewall(_NAME)
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Find out how rules can be written here, and let there be no services. Raises NodeError."""
        await self.put([_TRIAL])
        await self.put([])

    async def put(self, services: Sequence[ServiceRule]) -> None:
        """Let the addresses of these services lead to their backends. Raises NodeError."""
        try:
            # The kernel waits for all processors, or a program writes them: others may go on meanwhile.
            async with self._turn:
                await asyncio.to_thread(self._firewall.put, rules(services))
        except firewall.FirewallError as error:
            raise NodeError(str(error)) from error

    def close(self) -> None:
        """The rules stay, and are gone with the network namespace."""
        self._firewall.close()

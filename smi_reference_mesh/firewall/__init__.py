"""Packet filtering: `Firewall` writes the rules that `rules` builds."""

from __future__ import annotations

from smi_reference_mesh.firewall.nftables import NftablesError, Table
from smi_reference_mesh.firewall.rules import Chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class FirewallError(Exception):
    """Rules cannot be written; the text says why."""


class Firewall:
    """The rules of a name in this process's network namespace.

    Written by nf_tables; by iptables if the kernel lacks nf_tables or a required part of it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._table: Table | None = None
        self.means = ""
        """The backend that wrote the rules: nf_tables or iptables; empty before the first write."""

    def put(self, chains: Sequence[Chain]) -> None:
        """Replaces the rules of this name. Raises FirewallError."""
        if self.means == "iptables":
            self._restore(chains, "")
            return
        try:
            self._table = self._table or Table(self._name)
            self._table.put(chains)
        except NftablesError as error:
            if self.means:
                raise FirewallError(f"cannot write rules: {error}") from error
            self._restore(chains, f"{error}; ")
        else:
            self.means = "nf_tables"

    def close(self) -> None:
        """Releases the socket; the rules stay."""
        if self._table is not None:
            self._table.close()

    def _restore(self, chains: Sequence[Chain], before: str) -> None:
        # Imports much of Python, which only this path should pay for.
        from smi_reference_mesh.firewall import iptables

        if problem := iptables.restore(iptables.text(chains)):
            raise FirewallError(f"cannot write rules: {before}{problem}")
        self.means = "iptables"

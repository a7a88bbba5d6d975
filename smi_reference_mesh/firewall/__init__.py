"""What the kernel does with packets: `Firewall` writes the rules that `rules` makes."""

from __future__ import annotations

from smi_reference_mesh.firewall.nftables import NftablesError, Table
from smi_reference_mesh.firewall.rules import Chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class FirewallError(Exception):
    """Rules cannot be written; the text says why."""


class Firewall:
    """The rules of this name in the network namespace of this process.

    Written by nf_tables; where the kernel has none, or lacks a part that is needed, by iptables.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._table: Table | None = None
        self.means = ""
        """By what rules were written: nf_tables or iptables; nothing, before they were."""

    def put(self, chains: Sequence[Chain]) -> None:
        """Let these be in force, in place of what was there by this name. Raises FirewallError."""
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
        """The rules stay."""
        if self._table is not None:
            self._table.close()

    def _restore(self, chains: Sequence[Chain], before: str) -> None:
        # Much of Python is needed for that, which takes time that only this way shall cost.
        from smi_reference_mesh.firewall import iptables

        if problem := iptables.restore(iptables.text(chains)):
            raise FirewallError(f"cannot write rules: {before}{problem}")
        self.means = "iptables"

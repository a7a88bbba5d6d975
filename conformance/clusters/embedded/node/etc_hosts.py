"""The /etc/hosts of pods: their only host names. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.clusters.embedded.interface import HostName

_LOCAL = "127.0.0.1\tlocalhost\n"


def hosts(names: Sequence[HostName], *, namespace: str, pod: str, address: str) -> str:
    """The file for a pod: its own name, and the names of its namespace; one line per address."""
    known: dict[str, list[str]] = {}
    for each in names:
        if each.namespace in (None, namespace) and each.name not in known.setdefault(each.address, []):
            known[each.address].append(each.name)
    lines = [f"{ip}\t{' '.join(found)}\n" for ip, found in known.items()]
    return "".join([_LOCAL, f"{address}\t{pod}\n", *lines])

"""What pods find in /etc/hosts: the only names that there are. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.clusters.embedded.interface import HostName

_LOCAL = "127.0.0.1\tlocalhost\n"


def hosts(names: Sequence[HostName], *, namespace: str, pod: str, address: str) -> str:
    """The file for one pod: its own name, and what is known in its namespace; one line for each address."""
    known: dict[str, list[str]] = {}
    for each in names:
        if each.namespace in (None, namespace) and each.name not in known.setdefault(each.address, []):
            known[each.address].append(each.name)
    lines = [f"{ip}\t{' '.join(found)}\n" for ip, found in known.items()]
    return "".join([_LOCAL, f"{address}\t{pod}\n", *lines])

"""From services to the rules of iptables by which their addresses lead to pods. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from conformance.clusters.local.node.network import SERVICE_RANGE
from conformance.clusters.local.seam import Backend, ServiceRule

_SERVICES = "SERVICES"
_HAIRPIN = "HAIRPIN"


def rules(services: Sequence[ServiceRule]) -> str:
    """The tables `nat` and `filter`, whole, in the format of iptables-restore.

    Each port has a chain of its own, in which each backend is as likely as any other. A pod that reaches
    itself gets to see the node as the caller: it would not take its own answer for one otherwise. Addresses
    of services that lead nowhere are refused.
    """
    unique = sorted({(each.address, each.protocol, each.port): each for each in services}.items())
    served = [rule for _, rule in unique if rule.backends]
    addresses = sorted({backend.ip for rule in served for backend in rule.backends})
    lines = [
        "*nat",
        ":PREROUTING ACCEPT [0:0]",
        ":INPUT ACCEPT [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        ":POSTROUTING ACCEPT [0:0]",
        f":{_SERVICES} - [0:0]",
        f":{_HAIRPIN} - [0:0]",
        *(f":{chain(rule)} - [0:0]" for rule in served),
        f"-A PREROUTING -d {SERVICE_RANGE} -j {_SERVICES}",
        f"-A OUTPUT -d {SERVICE_RANGE} -j {_SERVICES}",
        f"-A POSTROUTING -m conntrack --ctstate DNAT -j {_HAIRPIN}",
        *(line for rule in served for line in _port(rule)),
        *(f"-A {_HAIRPIN} -s {ip}/32 -d {ip}/32 -j MASQUERADE" for ip in addresses),
        "COMMIT",
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD ACCEPT [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        *(line for hook in ("FORWARD", "OUTPUT") for line in _refusal(hook)),
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def chain(rule: ServiceRule) -> str:
    """The name of a port's chain: what it is for, in at most 28 characters."""
    digest = hashlib.sha256(f"{rule.address} {rule.protocol} {rule.port}".encode()).hexdigest()
    return f"SVC-{digest[:16]}"


def _port(rule: ServiceRule) -> Iterator[str]:
    protocol = rule.protocol.lower()
    yield f"-A {_SERVICES} -d {rule.address}/32 -p {protocol} --dport {rule.port} -j {chain(rule)}"
    for position, backend in enumerate(rule.backends):
        left = len(rule.backends) - position
        # Of those that got this far one in `left` stays, so that all get the same share.
        choice = f" -m statistic --mode random --probability {1 / left:.11f}" if left > 1 else ""
        yield f"-A {chain(rule)} -p {protocol}{choice} -j DNAT --to-destination {_destination(backend)}"


def _destination(backend: Backend) -> str:
    return f"{backend.ip}:{backend.port}"


def _refusal(hook: str) -> Iterator[str]:
    yield f"-A {hook} -d {SERVICE_RANGE} -p tcp -j REJECT --reject-with tcp-reset"
    yield f"-A {hook} -d {SERVICE_RANGE} -j REJECT --reject-with icmp-port-unreachable"

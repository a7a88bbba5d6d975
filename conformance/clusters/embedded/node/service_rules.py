"""The packet filter rules that route services' addresses to pods. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from conformance.clusters.embedded.interface import ServiceRule
from conformance.clusters.embedded.node.network import SERVICE_RANGE
from smi_reference_mesh.firewall.rules import (
    MASQUERADE,
    RESET,
    TRANSLATED,
    UNREACHABLE,
    Chain,
    Match,
    Rule,
    destination,
    jump,
    lead_to,
    one_in,
    port,
    protocol,
    rule,
    source,
)

_SERVICES = "SERVICES"
_HAIRPIN = "HAIRPIN"
_RANGE = destination(str(SERVICE_RANGE))
_REFUSAL = (rule(_RANGE, protocol("tcp"), then=RESET), rule(_RANGE, then=UNREACHABLE))


def rules(services: Sequence[ServiceRule]) -> tuple[Chain, ...]:
    """The rules of all services.

    Each port has its own chain, in which all backends are equally likely. A pod that reaches itself sees the
    node as the caller: otherwise it would not recognise its own answer. Addresses without backends are
    refused.
    """
    unique = sorted({(each.address, each.protocol, each.port): each for each in services}.items())
    served = [each for _, each in unique if each.backends]
    addresses = sorted({backend.ip for each in served for backend in each.backends})
    to_services = (rule(_RANGE, then=jump(_SERVICES)),)
    return (
        ("PREROUTING", "nat prerouting", to_services),
        ("OUTPUT", "nat output", to_services),
        ("POSTROUTING", "nat postrouting", (rule(TRANSLATED, then=jump(_HAIRPIN)),)),
        (_SERVICES, "", tuple(map(_to_port, served))),
        (_HAIRPIN, "", tuple(rule(source(ip), destination(ip), then=MASQUERADE) for ip in addresses)),
        *((chain(each), "", _to_backends(each)) for each in served),
        ("REFUSED_FORWARD", "filter forward", _REFUSAL),
        ("REFUSED_OUTPUT", "filter output", _REFUSAL),
    )


def chain(service: ServiceRule) -> str:
    """The name of a port's chain, in at most 28 characters."""
    digest = hashlib.sha256(f"{service.address} {service.protocol} {service.port}".encode()).hexdigest()
    return f"SVC-{digest[:16]}"


def _to_port(service: ServiceRule) -> Rule:
    where = (destination(service.address), _protocol(service), port(service.port))
    return rule(*where, then=jump(chain(service)))


def _to_backends(service: ServiceRule) -> tuple[Rule, ...]:
    made = []
    for position, backend in enumerate(service.backends):
        left = len(service.backends) - position
        # One in `left` of the remaining connections, so that all backends get the same share.
        choice = [one_in(left)] if left > 1 else []
        made.append(rule(_protocol(service), *choice, then=lead_to(backend.ip, backend.port)))
    return tuple(made)


def _protocol(service: ServiceRule) -> Match:
    name: Literal["tcp", "udp"] = "tcp" if service.protocol == "TCP" else "udp"
    return protocol(name)

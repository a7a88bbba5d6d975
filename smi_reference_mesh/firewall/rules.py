"""Rules for packets as data, for both nf_tables and iptables.

Plain tuples, made by the functions below. Imports almost nothing: see smi_reference_mesh.names.
"""

from __future__ import annotations

# typing.TYPE_CHECKING without importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Match = tuple[str, str | int]
    """A condition on a packet: its kind, and its value."""
    Verdict = tuple[str, str, int]
    """The action on a matching packet: its kind, the chain or address that it needs, and the port."""
    Rule = tuple[tuple[Match, ...], Verdict]
    """Conditions that must all match, and the verdict. The first matching rule decides."""
    Hook = Literal["", "nat prerouting", "nat output", "nat postrouting", "filter forward", "filter output"]
    """The kernel hook of a chain; "" for a NAT chain that other chains jump to."""
    Chain = tuple[str, Hook, tuple[Rule, ...]]
    """A unique name of at most 28 characters; the hook; the rules in their order."""
else:
    Match = Verdict = Rule = Chain = tuple
    Hook = str

TRANSLATED: Match = ("translated", "")
"""A rule has changed the packet's destination."""

RETURN: Verdict = ("return", "", 0)
"""Return to the calling chain; at the end of the base chain the packet continues unchanged."""
MASQUERADE: Verdict = ("masquerade", "", 0)
"""Replace the source address by this host's own."""
RESET: Verdict = ("reset", "", 0)
"""Refuse with a TCP reset; for TCP only."""
UNREACHABLE: Verdict = ("unreachable", "", 0)
"""Refuse with ICMP "port unreachable"."""


def protocol(name: Literal["tcp", "udp"]) -> Match:
    """The packet's protocol; must precede `port`."""
    return ("protocol", name)


def port(number: int) -> Match:
    """The destination port."""
    return ("port", number)


def source(network: str) -> Match:
    """The source: an IPv4 network, such as 10.0.0.0/8, or address."""
    return ("source", network)


def destination(network: str) -> Match:
    """The destination: an IPv4 network or address."""
    return ("destination", network)


def not_destination(network: str) -> Match:
    """Any destination outside an IPv4 network or address."""
    return ("not destination", network)


def out_by(interface: str) -> Match:
    """The outgoing interface."""
    return ("out by", interface)


def of_user(number: int) -> Match:
    """The user of the packet's socket."""
    return ("user", number)


def marked(mark: int) -> Match:
    """The mark of the packet's socket."""
    return ("mark", mark)


def one_in(count: int) -> Match:
    """A random one in `count` of the packets that open a connection."""
    return ("one in", count)


def jump(chain: str) -> Verdict:
    """Continue with another chain."""
    return ("jump", chain, 0)


def redirect(number: int) -> Verdict:
    """Redirect to a port of this host."""
    return ("redirect", "", number)


def lead_to(address: str, number: int) -> Verdict:
    """Redirect to an address and port (DNAT)."""
    return ("lead to", address, number)


def rule(*matches: Match, then: Verdict) -> Rule:
    """A rule: its matches, and the verdict if all hold."""
    return (matches, then)

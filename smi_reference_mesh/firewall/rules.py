"""Rules for packets as data, from which nf_tables and iptables are both written.

Plain tuples, made by the functions below, and next to nothing is imported: see smi_reference_mesh.names.
"""

from __future__ import annotations

# As type checkers know it, but without its module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Match = tuple[str, str | int]
    """What a packet is to be like: what is looked at, and its value."""
    Verdict = tuple[str, str, int]
    """What becomes of a packet that matches: the deed, the chain or address that it needs, and the port."""
    Rule = tuple[tuple[Match, ...], Verdict]
    """All matches hold: the verdict is carried out. The first rule that matches decides."""
    Hook = Literal["", "nat prerouting", "nat output", "nat postrouting", "filter forward", "filter output"]
    """Where the kernel enters a chain; "" is a chain of addresses' translation that others jump to."""
    Chain = tuple[str, Hook, tuple[Rule, ...]]
    """A name, which is unique and has at most 28 characters; the hook; the rules in their order."""
else:
    Match = Verdict = Rule = Chain = tuple
    Hook = str

TRANSLATED: Match = ("translated", "")
"""The packet's destination was changed by a rule."""

RETURN: Verdict = ("return", "", 0)
"""Back to the chain that jumped here; at its end a packet goes where it was sent."""
MASQUERADE: Verdict = ("masquerade", "", 0)
"""The packet leaves with this host's own address as its source."""
RESET: Verdict = ("reset", "", 0)
"""Refused with a reset, which is for TCP alone."""
UNREACHABLE: Verdict = ("unreachable", "", 0)
"""Refused with ICMP's "port unreachable"."""


def protocol(name: Literal["tcp", "udp"]) -> Match:
    """The packet is of this protocol. To stand before `port`."""
    return ("protocol", name)


def port(number: int) -> Match:
    """It is for this port."""
    return ("port", number)


def source(network: str) -> Match:
    """It comes from this IPv4 network, as 10.0.0.0/8, or address."""
    return ("source", network)


def destination(network: str) -> Match:
    """It is for this IPv4 network or address."""
    return ("destination", network)


def not_destination(network: str) -> Match:
    """It is for another network than this one."""
    return ("not destination", network)


def out_by(interface: str) -> Match:
    """It leaves by this interface."""
    return ("out by", interface)


def of_user(number: int) -> Match:
    """Its socket belongs to this user."""
    return ("user", number)


def marked(mark: int) -> Match:
    """Its socket carries this mark."""
    return ("mark", mark)


def one_in(count: int) -> Match:
    """It is drawn by lot: one packet in `count`, of those that open a connection."""
    return ("one in", count)


def jump(chain: str) -> Verdict:
    """Go through another chain."""
    return ("jump", chain, 0)


def redirect(number: int) -> Verdict:
    """To this port of this host itself."""
    return ("redirect", "", number)


def lead_to(address: str, number: int) -> Verdict:
    """To this address and port."""
    return ("lead to", address, number)


def rule(*matches: Match, then: Verdict) -> Rule:
    """A rule."""
    return (matches, then)

"""How the readings of an open question look in traffic, or at the API server."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.model.evidence import Behaviour, Traffic


def answered(
    letter: str, *by: str, finding: str = "", failing: bool = False, majority: str = ""
) -> Behaviour:
    """A reading under which exactly the workloads ``by`` answer; ``failing``: some requests fail too."""
    return Behaviour(letter, by, failing=failing, finding=finding, majority=majority)


def unanswered(letter: str, finding: str = "") -> Behaviour:
    """A reading under which every request fails."""
    return Behaviour(letter, finding=finding)


def refused(letter: str) -> Behaviour:
    """A reading under which the API server refuses the object in question."""
    return Behaviour(letter, refused=True)


def finding(text: str, *by: str, failing: bool = False) -> Behaviour:
    """A behaviour that is no reading, and not acceptable: exactly the workloads ``by`` answer, if any."""
    return Behaviour("", by, failing=failing, finding=text)


def same_or_changed(first: Traffic, others: Sequence[tuple[str, ...]], finding: str) -> tuple[Behaviour, ...]:
    """Reading a: exactly the workloads of an earlier sample answer; b: those of any other combination."""
    counts = (first.answered, first.received)
    answering = {name for seen in counts for name, count in seen.items() if count}
    same = answered("a", *sorted(answering), failing=first.answers < first.sent)
    return (same, *(answered("b", *by, finding=finding) for by in others if set(by) != answering))

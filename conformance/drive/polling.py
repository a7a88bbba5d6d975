"""What a poll says of what is waited for."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum, auto

from conformance.model.evidence import Traffic


class PollResult(Enum):
    """What a poll says: it is there, or it is not yet, or more has to be looked at to tell."""

    SATISFIED = auto()
    INSUFFICIENT = auto()
    """Nothing speaks against it, but somebody who is to answer did not: a larger poll may show them.

    Where a mesh chooses a backend once for each connection, a few connections show a few backends.
    """
    CONTRADICTED = auto()
    """Somebody answers who is not to, or requests fail."""


def classify_poll(
    seen: Traffic, *, only: Set[str] | None = None, all_of: Set[str] = frozenset()
) -> PollResult:
    """Of traffic that is to be answered by ``only`` these workloads, if given, and by ``all_of`` those."""
    if seen.failures or seen.answers != seen.sent:
        return PollResult.CONTRADICTED
    answered = set(seen.answered)
    if only is not None and not answered <= only:
        return PollResult.CONTRADICTED
    return PollResult.SATISFIED if all_of <= answered else PollResult.INSUFFICIENT

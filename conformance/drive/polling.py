"""What a poll says of what is waited for."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum, auto

from conformance.model.evidence import Traffic


class Sight(Enum):
    """What a poll says: it is there, or it is not yet, or more has to be looked at to tell."""

    THERE = auto()
    UNSEEN = auto()
    """Nothing speaks against it, but somebody who is to answer did not: a larger poll may show them.

    Where a mesh chooses a backend once for each connection, a few connections show a few backends.
    """
    AGAINST = auto()
    """Somebody answers who is not to, or requests fail."""


def sight(seen: Traffic, *, only: Set[str] | None = None, all_of: Set[str] = frozenset()) -> Sight:
    """Of traffic that is to be answered by ``only`` these workloads, if given, and by ``all_of`` those."""
    if seen.failures or seen.answers != seen.sent:
        return Sight.AGAINST
    answered = set(seen.answered)
    if only is not None and not answered <= only:
        return Sight.AGAINST
    return Sight.THERE if all_of <= answered else Sight.UNSEEN

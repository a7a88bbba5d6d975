"""The result of a poll for an awaited change."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum, auto

from conformance.model.evidence import Traffic


class PollResult(Enum):
    """The result of a poll: the change shows, does not show yet, or needs a larger poll."""

    SATISFIED = auto()
    INSUFFICIENT = auto()
    """No contradiction, but an expected responder did not answer: a larger poll may show it.

    If a mesh chooses a backend once per connection, few connections show few backends.
    """
    CONTRADICTED = auto()
    """An unexpected responder answered, or requests failed."""


def classify_poll(
    seen: Traffic, *, only: Set[str] | None = None, all_of: Set[str] = frozenset()
) -> PollResult:
    """Classify traffic: ``all_of`` are the workloads that must answer, ``only`` those that may."""
    if seen.failures or seen.answers != seen.sent:
        return PollResult.CONTRADICTED
    answered = set(seen.answered)
    if only is not None and not answered <= only:
        return PollResult.CONTRADICTED
    return PollResult.SATISFIED if all_of <= answered else PollResult.INSUFFICIENT

"""Looks at a running batch: whether its first requests suffice."""

from __future__ import annotations

from collections import Counter

from .plan import LookBounds


class LookTaker:
    """Counts the answers in the order of sending, whatever the order in which they come."""

    def __init__(self, looks: tuple[LookBounds, ...]) -> None:
        self._waiting = list(reversed(looks))
        self._ahead: dict[int, str | None] = {}
        self._counts: Counter[str | None] = Counter()
        self._counted = 0

    def suffices(self, index: int, server: str | None) -> bool:
        """Whether a look that this answer completes ends the batch; ``server`` is None without an answer."""
        self._ahead[index] = server
        while self._counted in self._ahead:
            self._counts[self._ahead.pop(self._counted)] += 1
            self._counted += 1
            if (
                self._waiting
                and self._waiting[-1].requests == self._counted
                and self._accepts(self._waiting.pop())
            ):
                return True
        return False

    def _accepts(self, look: LookBounds) -> bool:
        counts = [sum(self._counts[server] for server in servers) for servers, _, _ in look.entries]
        return sum(counts) == look.requests and all(
            low <= count <= high for count, (_, low, high) in zip(counts, look.entries)
        )

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
                and self._ends(self._waiting.pop())
            ):
                return True
        return False

    def _ends(self, look: LookBounds) -> bool:
        counts = [(one, sum(self._counts[server] for server in one.servers)) for one in look.bounds]
        if any(not one.least <= count <= one.most for one, count in counts):
            return True
        answered = sum(count for _, count in counts)
        return answered == look.requests and all(one.low <= count <= one.high for one, count in counts)

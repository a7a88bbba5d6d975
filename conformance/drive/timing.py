"""The time of a run by phase: each second counts for the outermost active phase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from conformance.drive.wait import Clock

Phase = Literal["setup", "waiting", "traffic", "judging", "cleanup"]


class Phases:
    """Counts seconds by phase. A phase inside another is part of it: polling while waiting is waiting."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started = clock.now()
        self._under_way = False
        self._spent: dict[Phase, float] = {}

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Count the block's seconds for ``name``, also when it raises."""
        if self._under_way:
            yield
            return
        self._under_way, start = True, self._clock.now()
        try:
            yield
        finally:
            self._under_way = False
            self._spent[name] = self._spent.get(name, 0.0) + self._clock.now() - start

    def spent(self) -> dict[Phase, float]:
        """Seconds by phase."""
        return dict(self._spent)

    def total(self) -> float:
        """Seconds since the start."""
        return self._clock.now() - self._started

"""Time that passes only when it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class VirtualClock:
    """A `conformance.drive.wait.Clock` on which a pause takes no time."""

    at: float = 1000.0
    pauses: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at += seconds

"""The page's charts as figures: shares against their accepted regions, and the parts of a run's time."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.verdict import Share
from conformance.report.document import Timing

PLOT_WIDTH = 360
"""Width of a share's plot in pixels, 0 % to 100 %."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A share's plot in pixels from the left; ``inside`` if the observed share is in the accepted region."""

    share: Share
    low: float
    width: float
    expected: float
    observed: float
    inside: bool


def plot(share: Share) -> Plot:
    """A share on an axis from 0 % to 100 %; its region is at least 2 pixels wide, to be visible."""
    low, high = _x(share.low), _x(share.high)
    width = max(high - low, 2.0)
    return Plot(
        share=share,
        low=round(min(low, PLOT_WIDTH - width), 1),
        width=round(width, 1),
        expected=_x(share.expected),
        observed=_x(share.observed),
        inside=share.low <= share.observed <= share.high,
    )


def _x(part: float) -> float:
    return round(min(1.0, max(0.0, part)) * PLOT_WIDTH, 1) if part == part else 0.0


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the run's time; ``percent`` is its portion of the whole."""

    name: str
    meaning: str
    seconds: float
    percent: float


def slices(timing: Timing) -> tuple[Slice, ...]:
    """The non-zero parts of the run's time, in the order of a run."""
    parts = (
        ("setup", "preparing the arena", timing.setup_s),
        ("waiting", "for the mesh to converge", timing.waiting_s),
        ("traffic", "sending requests", timing.traffic_s),
        ("judging", "evidence into verdicts", timing.judging_s),
        ("clean-up", "removing the arena", timing.cleanup_s),
        ("other", "the rest", timing.other_s),
    )
    whole = sum(part for _, _, part in parts) or 1.0
    return tuple(
        Slice(name, meaning, part, round(100 * part / whole, 2)) for name, meaning, part in parts if part > 0
    )

"""A scenario: SMI objects applied to the arena, and the traffic driven before, under and after them.

`Scenario` has a module for each topic: `base` (objects and calls), `waits` (convergence), `background`
(background traffic), `responders` (responding workloads and samples), `access_checks` (grants and denials).
"""

from __future__ import annotations

from conformance.drive.scenario.access_checks import (
    DENIED,
    GRANTED,
    UNMESHED_SERVERS,
    AccessCheck,
    AccessChecks,
)
from conformance.drive.scenario.background import Background
from conformance.drive.scenario.base import never_known_idle
from conformance.drive.scenario.responders import (
    POLL_FRESH,
    POLL_REQUESTS,
    POLL_REUSED,
    SMALL_POLL_REQUESTS,
    ExpectedResponders,
    Responders,
    sampling,
)

__all__ = [
    "DENIED",
    "GRANTED",
    "POLL_FRESH",
    "POLL_REQUESTS",
    "POLL_REUSED",
    "SMALL_POLL_REQUESTS",
    "UNMESHED_SERVERS",
    "AccessCheck",
    "ExpectedResponders",
    "Scenario",
    "never_known_idle",
    "sampling",
]


class Scenario(Responders, AccessChecks, Background):
    """All that the fixture of a suite works with."""

    __slots__ = ()

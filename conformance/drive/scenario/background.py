"""Background traffic: calls at a constant rate while a scenario changes objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from conformance.drive.scenario.waits import Waits
from conformance.drive.traffic import PATIENT_S, BackgroundTraffic, SendOptions
from conformance.model.evidence import Call, Convergence

VOLUME_WITHIN_S = 20.0
"""The time in which background traffic reaches its volume, also on a busy machine."""
DRIVING_S = 60.0
"""The time of all that a scenario does between its waits, such as drawing a sample."""


class Background(Waits):
    """The background traffic of a scenario."""

    __slots__ = ()

    def wait_for_volume(self, check: Callable[[], bool], what: str) -> Convergence:
        """Wait until ``check`` finds enough background traffic, as `until` does."""
        return self.until(check, what, within_s=VOLUME_WITHIN_S)

    def background_duration_s(self, waits: int, more_s: float = 0.0) -> float:
        """The duration of background traffic that is stopped after so many waits, in seconds.

        Each wait may take the time of the profile; ``more_s`` is the time of other waits. Traffic that
        expires before a change shows cannot show its effect.
        """
        return waits * self.profile.converge.within_s + more_s + DRIVING_S

    @contextmanager
    def background_traffic(
        self, call: Call, *, rate_per_s: float, duration_s: float
    ) -> Iterator[list[BackgroundTraffic]]:
        """Background traffic on reused connections, and as much on new ones.

        Reused connections show how a change affects those that existed before it. New ones show a short
        outage where a mesh chooses a backend once per connection. A late answer is not a failure: SMI
        promises no latency, and pods may start meanwhile.
        """
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    self.driver.start(
                        call,
                        SendOptions(new_connections=new, timeout_s=PATIENT_S),
                        rate_per_s=rate_per_s,
                        duration_s=duration_s,
                    )
                )
                for new in (False, True)
            ]

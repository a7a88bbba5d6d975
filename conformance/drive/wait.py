"""The only function that waits: for a condition, with a deadline and a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tenacity import RetryCallState, RetryError, Retrying, retry_if_result, wait_exponential

T = TypeVar("T")
OnWait = Callable[[str, float, float], None]


class Clock(Protocol):
    """The clock of the suite; tests use a virtual clock."""

    def now(self) -> float:
        """Seconds on a clock that never runs backwards."""
        ...

    def pause(self, seconds: float) -> None:
        """Sleep."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


class NotSeen(Exception):
    """The awaited condition did not hold before the deadline; ``str`` gives the condition and the seconds."""

    def __init__(self, because: str, within_s: float) -> None:
        super().__init__(f"not seen within {within_s:g} s: {because}")
        self.because = because
        self.within_s = within_s


@dataclass(slots=True)
class Waiter:
    """Waits, and reports it: ``on_wait`` receives the reason, the elapsed seconds and the allowed seconds."""

    clock: Clock = field(default_factory=SystemClock)
    on_wait: OnWait = lambda because, elapsed, within: None

    def until(
        self,
        check: Callable[[], T | None],
        *,
        within: float,
        because: str,
        longest_pause: float = 0.5,
        so_far: Callable[[], str] = str,
    ) -> tuple[T, float]:
        """Call ``check`` until it returns something other than None or False.

        Returns the result and the seconds until then. The first call is immediate; the pauses between calls
        grow from 20 ms to ``longest_pause`` (seconds). ``so_far`` returns the known cause of the delay, for
        ``on_wait``. Raises NotSeen after ``within`` seconds; exceptions of ``check`` propagate.
        """
        start = self.clock.now()

        def expired(state: RetryCallState) -> bool:
            elapsed = self.clock.now() - start
            known = so_far()
            self.on_wait(f"{because}; {known}" if known else because, elapsed, within)
            return elapsed >= within

        retrying = Retrying(
            retry=retry_if_result(lambda result: result is None or result is False),
            wait=wait_exponential(multiplier=0.02, exp_base=1.6, max=longest_pause),
            stop=expired,
            sleep=self.clock.pause,
        )
        try:
            result = retrying(check)
        except RetryError as error:
            raise NotSeen(because, within) from error
        assert result is not None  # noqa: S101 - the retry condition has seen to it
        return result, self.clock.now() - start

    def rest(self, seconds: float, *, because: str, step_s: float = 0.5) -> None:
        """Let time pass without any request.

        For changes that every poll would delay. ``on_wait`` receives ``because`` every ``step_s`` seconds, as
        in `until`.
        """
        start = self.clock.now()
        end = start + seconds
        while (now := self.clock.now()) < end:
            self.on_wait(because, now - start, seconds)
            self.clock.pause(min(step_s, end - now))

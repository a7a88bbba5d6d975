"""Shows the progress of a run and its waits on the terminal."""

from __future__ import annotations

import shutil
import threading
import time
from typing import Any, Literal

import pytest

from conformance.report.document import Outcome
from conformance.report.formatting import seconds
from conformance.report.outcomes import SYMBOLS

Verbosity = Literal["quiet", "normal", "verbose"]
"""Nothing; a line per requirement; also scenarios and waits."""

MIN_WAIT_S = 1.5
"""Shorter waits are not shown."""
REPEAT_S = 5.0
MIN_CONCLUDED = 5
"""Concluded requirements from which on the remaining time is estimated."""
_MARKUP: dict[str, dict[str, bool]] = {
    "pass": {"green": True},
    "fail": {"red": True},
    "inconclusive": {"yellow": True},
    "not observed": {"yellow": True},
}


class Progress:
    """Progress for people: on a terminal one rewritten status line, and a line per requirement that does not
    hold; elsewhere a line per requirement.
    """

    def __init__(
        self, config: pytest.Config | None = None, total: int = 0, amount: Verbosity = "verbose"
    ) -> None:
        manager = config.pluginmanager if config else None
        self._reporter: Any = manager.get_plugin("terminalreporter") if manager else None
        self._capture = manager.get_plugin("capturemanager") if manager else None
        self._verbosity = amount
        self._total = total
        self._done = 0
        self._started = time.monotonic()
        self._printed_at = 0.0
        self._because = ""
        self._thread = threading.get_ident()

    @property
    def _rewrites(self) -> bool:
        return self._reporter is not None and bool(self._reporter.isatty)

    def say(self, text: str) -> None:
        """Show a line, unless quiet."""
        if self._verbosity != "quiet":
            self._write(text)

    def scenario(self, text: str) -> None:
        """Show the scenario that is driven from now on."""
        if self._verbosity == "verbose":
            self._write(text)
        elif self._verbosity == "normal" and self._rewrites:
            self._write(self._status(text), rewrite=True)

    def concluded(self, requirement: str, outcome: Outcome, took_s: float) -> None:
        """Show a requirement whose tests are all over."""
        self._done += 1
        if self._verbosity != "normal":
            return
        text = f"[{self._done}/{self._total}] {SYMBOLS[outcome]} {requirement} {seconds(took_s)}"
        if self._rewrites and outcome not in {"fail", "inconclusive"}:
            self._write(self._status(requirement), rewrite=True)
        else:
            self._write(text, **_MARKUP.get(outcome, {}))

    def waiting(self, because: str, elapsed: float, within: float) -> None:
        """Show a wait; called repeatedly during it. Waits of other threads are not shown."""
        if threading.get_ident() != self._thread or self._verbosity == "quiet":
            return
        if because != self._because:
            self._because, self._printed_at = because, 0.0
        if self._reporter is None or elapsed < MIN_WAIT_S:
            return
        text = f"waiting: {because} ({elapsed:.0f} s of {within:.0f} s)"
        if self._rewrites:
            self._write(self._status(text), rewrite=True)
        elif self._verbosity == "verbose" and (
            elapsed - self._printed_at >= REPEAT_S or self._printed_at == 0.0
        ):
            self._printed_at = elapsed
            self._write(f"  {text}")

    def _status(self, text: str) -> str:
        elapsed = time.monotonic() - self._started
        left = ""
        if MIN_CONCLUDED <= self._done < self._total:
            left = f", about {seconds(elapsed / self._done * (self._total - self._done))} left"
        status = f"[{self._done}/{self._total}] {seconds(elapsed)}{left}: {text}"
        # A line longer than the terminal's width cannot be rewritten.
        return status[: max(20, shutil.get_terminal_size().columns - 1)]

    def _write(self, text: str, *, rewrite: bool = False, **markup: bool) -> None:
        if self._reporter is None:
            return
        if self._capture is not None:
            # Within a fixture or test, the line would go to that test's captured output.
            with self._capture.global_and_fixture_disabled():
                self._put(text, rewrite=rewrite, **markup)
        else:
            self._put(text, rewrite=rewrite, **markup)

    def _put(self, text: str, *, rewrite: bool, **markup: bool) -> None:
        if rewrite:
            self._reporter.rewrite(text, erase=True)
        elif self._rewrites:
            # In place of the current status.
            self._reporter.rewrite(text, erase=True, **markup)
            self._reporter.write_line("")
        else:
            self._reporter.ensure_newline()
            self._reporter.write_line(text, **markup)
        # A pipe is block-buffered otherwise, and its reader would not see the progress.
        self._reporter.flush()

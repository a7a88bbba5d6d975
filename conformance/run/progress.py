"""Says on the terminal how far a run is and what it waits for."""

from __future__ import annotations

import shutil
import threading
import time
from typing import Any, Literal

import pytest

from conformance.report.document import Outcome
from conformance.report.formatting import seconds
from conformance.report.outcomes import SYMBOLS

Amount = Literal["quiet", "normal", "verbose"]
"""How much is said: nothing; a line for each requirement; what is driven and waited for as well."""

QUIET_S = 1.5
"""Waits shorter than this are not worth a line."""
EVERY_S = 5.0
ENOUGH = 5
"""Requirements after which the rest of the time can be told from that of those before."""
_MARKUP: dict[str, dict[str, bool]] = {
    "pass": {"green": True},
    "fail": {"red": True},
    "inconclusive": {"yellow": True},
    "not observed": {"yellow": True},
}


class Progress:
    """Lines for people. A terminal has one that is written anew all the time, and one for each requirement
    that does not hold; elsewhere each requirement gets a line.
    """

    def __init__(
        self, config: pytest.Config | None = None, total: int = 0, amount: Amount = "verbose"
    ) -> None:
        manager = config.pluginmanager if config else None
        self._reporter: Any = manager.get_plugin("terminalreporter") if manager else None
        self._capture = manager.get_plugin("capturemanager") if manager else None
        self._amount = amount
        self._total = total
        self._done = 0
        self._started = time.monotonic()
        self._said_at = 0.0
        self._because = ""
        self._thread = threading.get_ident()

    @property
    def _rewrites(self) -> bool:
        return self._reporter is not None and bool(self._reporter.isatty)

    def say(self, text: str) -> None:
        """One line, unless nothing is to be said."""
        if self._amount != "quiet":
            self._write(text)

    def scenario(self, text: str) -> None:
        """What is driven from now on."""
        if self._amount == "verbose":
            self._write(text)
        elif self._amount == "normal" and self._rewrites:
            self._write(self._status(text), rewrite=True)

    def concluded(self, requirement: str, outcome: Outcome, took_s: float) -> None:
        """A requirement of which all tests are over."""
        self._done += 1
        if self._amount != "normal":
            return
        text = f"[{self._done}/{self._total}] {SYMBOLS[outcome]} {requirement} {seconds(took_s)}"
        if self._rewrites and outcome not in {"fail", "inconclusive"}:
            self._write(self._status(requirement), rewrite=True)
        else:
            self._write(text, **_MARKUP.get(outcome, {}))

    def waiting(self, because: str, elapsed: float, within: float) -> None:
        """Called again and again while something is waited for; what another thread waits for is not told."""
        if threading.get_ident() != self._thread or self._amount == "quiet":
            return
        if because != self._because:
            self._because, self._said_at = because, 0.0
        if self._reporter is None or elapsed < QUIET_S:
            return
        text = f"waiting: {because} ({elapsed:.0f} s of {within:.0f} s)"
        if self._rewrites:
            self._write(self._status(text), rewrite=True)
        elif self._amount == "verbose" and (elapsed - self._said_at >= EVERY_S or self._said_at == 0.0):
            self._said_at = elapsed
            self._write(f"  {text}")

    def _status(self, text: str) -> str:
        elapsed = time.monotonic() - self._started
        left = ""
        if ENOUGH <= self._done < self._total:
            left = f", about {seconds(elapsed / self._done * (self._total - self._done))} left"
        status = f"[{self._done}/{self._total}] {seconds(elapsed)}{left}: {text}"
        # A line that is longer than the terminal is wide could not be written anew.
        return status[: max(20, shutil.get_terminal_size().columns - 1)]

    def _write(self, text: str, *, rewrite: bool = False, **markup: bool) -> None:
        if self._reporter is None:
            return
        if self._capture is not None:
            # Within a fixture or test, what is written goes to that test's captured output instead.
            with self._capture.global_and_fixture_disabled():
                self._put(text, rewrite=rewrite, **markup)
        else:
            self._put(text, rewrite=rewrite, **markup)

    def _put(self, text: str, *, rewrite: bool, **markup: bool) -> None:
        if rewrite:
            self._reporter.rewrite(text, erase=True)
        elif self._rewrites:
            # In the place of the status that stands there.
            self._reporter.rewrite(text, erase=True, **markup)
            self._reporter.write_line("")
        else:
            self._reporter.ensure_newline()
            self._reporter.write_line(text, **markup)
        # A pipe is written to in blocks else, and who reads it would hear of the first requirement last.
        self._reporter.flush()

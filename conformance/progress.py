"""Says on the terminal which scenario runs and what it waits for."""

from __future__ import annotations

import threading

import pytest

QUIET_S = 1.5
"""Waits shorter than this are not worth a line."""
EVERY_S = 5.0


class Progress:
    """Lines for people; on a terminal one about a wait is rewritten, elsewhere it comes every 5 s."""

    def __init__(self, config: pytest.Config | None = None) -> None:
        manager = config.pluginmanager if config else None
        self._reporter = manager.get_plugin("terminalreporter") if manager else None
        self._capture = manager.get_plugin("capturemanager") if manager else None
        self._said_at = 0.0
        self._because = ""
        self._thread = threading.get_ident()

    def say(self, text: str) -> None:
        """One line."""
        self._write(text, rewrite=False)

    def waiting(self, because: str, elapsed: float, within: float) -> None:
        """Called again and again while something is waited for; what another thread waits for is not told."""
        if threading.get_ident() != self._thread:
            return
        if because != self._because:
            self._because, self._said_at = because, 0.0
        if self._reporter is None or elapsed < QUIET_S:
            return
        text = f"  waiting: {because} ({elapsed:.0f} s of {within:.0f} s)"
        if self._reporter.isatty:
            self._write(text, rewrite=True)
        elif elapsed - self._said_at >= EVERY_S or self._said_at == 0.0:
            self._said_at = elapsed
            self.say(text)

    def _write(self, text: str, *, rewrite: bool) -> None:
        if self._reporter is None:
            return
        if self._capture is not None:
            # Within a fixture or test, what is written goes to that test's captured output instead.
            with self._capture.global_and_fixture_disabled():
                self._put(text, rewrite=rewrite)
        else:
            self._put(text, rewrite=rewrite)

    def _put(self, text: str, *, rewrite: bool) -> None:
        assert self._reporter is not None  # noqa: S101 - for the type checker
        if rewrite:
            self._reporter.rewrite(text, erase=True)
        else:
            self._reporter.ensure_newline()
            self._reporter.write_line(text)

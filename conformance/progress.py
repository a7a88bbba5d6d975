"""Says on the terminal which scenario runs and what it waits for."""

from __future__ import annotations

from pytest import TerminalReporter

QUIET_S = 1.5
"""Waits shorter than this are not worth a line."""
EVERY_S = 5.0


class Progress:
    """Lines for people; on a terminal the line about a wait is rewritten, elsewhere it comes every five seconds."""

    def __init__(self, reporter: TerminalReporter | None) -> None:
        self._reporter = reporter
        self._said_at = 0.0
        self._because = ""

    def say(self, text: str) -> None:
        """One line."""
        if self._reporter is not None:
            self._reporter.ensure_newline()
            self._reporter.write_line(text)

    def waiting(self, because: str, elapsed: float, within: float) -> None:
        """Called again and again while something is waited for."""
        if because != self._because:
            self._because, self._said_at = because, 0.0
        if self._reporter is None or elapsed < QUIET_S:
            return
        text = f"  waiting: {because} ({elapsed:.0f} s of {within:.0f} s)"
        if self._reporter.isatty:
            self._reporter.rewrite(text, erase=True)
        elif elapsed - self._said_at >= EVERY_S or self._said_at == 0.0:
            self.say(text)
            self._said_at = elapsed

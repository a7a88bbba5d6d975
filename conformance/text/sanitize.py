"""What a mesh answered, for a terminal or the log of a CI system."""

from __future__ import annotations


def printable(words: str) -> str:
    """One line without control characters: they may steer a terminal, and a line of a log be a command."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())

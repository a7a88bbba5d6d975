"""Untrusted text, such as a mesh's answers, for a terminal or a CI log."""

from __future__ import annotations


def printable(words: str) -> str:
    """The text on one line without control characters, which could drive a terminal or inject CI commands."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())

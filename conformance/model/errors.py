"""Errors whose message is for the user."""

from __future__ import annotations


class UserError(Exception):
    """The command cannot continue; the message is one line, with the remedy if known."""

"""Suggestions for unknown names, for messages about typing errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_FEW = 12


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known name, or all if they are few."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are: {', '.join(names)}" if 0 < len(names) <= _FEW else ""

"""Tables and text for pages of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~]")


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table whose cells are Markdown."""
    for cells in (head, ["---"] * len(head), *body):
        yield f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """The text on one line, with Markdown's special characters escaped."""
    return _SPECIAL.sub(lambda match: f"\\{match[0]}", " ".join(text.split()))

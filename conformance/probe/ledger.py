"""The ledger: what reached this workload, by the nonce that each request carries.

Counts are kept of every request, since verdicts that something was denied stand on them; only details are
given up when there are too many. A probe that restarted has an empty ledger: each answer carries a ``boot``
that tells.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

ENTRIES_OF_A_BATCH = 200
ENTRIES = 10_000
"""Details kept over all batches, of some kB each; beyond that the oldest batches lose theirs."""
BATCHES = 20_000
INDICES = 1_000_000
_MOST = 255


class Entry(NamedTuple):
    """One request as it arrived; ``connection`` is the port's serial number of the connection."""

    port: int
    method: str | None
    path: str | None
    headers: dict[str, str]
    connection: int
    remote: str


class Page:
    """What is known of one batch."""

    __slots__ = ("by_port", "count", "entries", "hits", "room", "seen")

    def __init__(self) -> None:
        self.seen = bytearray()
        self.count = 0
        self.hits = 0
        self.by_port: Counter[int] = Counter()
        self.entries: list[tuple[int, Entry]] = []
        self.room = True

    def add(self, index: int, port: int) -> None:
        if index >= len(self.seen):
            self.seen.extend(bytes(max(index + 1 - len(self.seen), 64)))
        self.hits += 1
        self.by_port[port] += 1
        self.count += not self.seen[index]
        self.seen[index] = min(self.seen[index] + 1, _MOST)

    def ranges(self) -> list[list[int]]:
        """The indices that were seen, as pairs of first and last."""
        found: list[list[int]] = []
        for index, hits in enumerate(self.seen):
            if not hits:
                continue
            if found and found[-1][1] == index - 1:
                found[-1][1] = index
            else:
                found.append([index, index])
        return found


class Ledger:
    """Remembers requests by batch and index."""

    def __init__(self) -> None:
        self.boot = os.urandom(16).hex()
        self.other = 0
        self.overflow = 0
        self._pages: dict[str, Page] = {}
        self._detailed: deque[Page] = deque()
        self._entries = 0

    def record(self, nonce: str, port: int, entry: Callable[[], Entry]) -> None:
        """Count a request by its nonce, ``<batch>.<index>``; ``entry`` gives its details if there is room.

        A nonce that is none counts as ``other``, one that cannot be counted for lack of room as ``overflow``.
        """
        batch, _, digits = nonce.rpartition(".")
        if not batch or not digits.isdigit() or not digits.isascii():
            self.other += 1
            return
        page = self._pages.get(batch)
        index = int(digits) if len(digits) < len(str(INDICES)) else INDICES
        if index >= INDICES or (page is None and len(self._pages) >= BATCHES):
            self.overflow += 1
            return
        if page is None:
            page = self._pages[batch] = Page()
        page.add(index, port)
        if page.room:
            self._note(page, index, entry())

    def _note(self, page: Page, index: int, entry: Entry) -> None:
        if not page.entries:
            self._detailed.append(page)
        page.entries.append((index, entry))
        page.room = len(page.entries) < ENTRIES_OF_A_BATCH
        self._entries += 1
        if self._entries > ENTRIES:
            oldest = self._detailed.popleft()
            self._entries -= len(oldest.entries)
            oldest.entries = []
            oldest.room = False

    def answer(
        self, batches: list[str], entries: int = ENTRIES_OF_A_BATCH, indices: bool = False
    ) -> dict[str, Any]:
        """What is known of these batches, as JSON; an unknown one has count 0."""
        known = {name: self._pages.get(name) or Page() for name in batches}
        return {
            "boot": self.boot,
            "other": self.other,
            "overflow": self.overflow,
            "batches": {name: _describe(page, entries, indices) for name, page in known.items()},
        }


def _describe(page: Page, entries: int, indices: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "count": page.count,
        "hits": page.hits,
        "by_port": {str(port): hits for port, hits in sorted(page.by_port.items())},
        "entries": [{"index": index, **entry._asdict()} for index, entry in page.entries[:entries]],
    }
    if indices:
        described["indices"] = page.ranges()
    return described

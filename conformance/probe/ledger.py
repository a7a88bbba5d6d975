"""The ledger: the requests that reached this workload, by the nonce that each request carries.

Every request is counted, since verdicts of denial rest on these counts; only details are dropped when there
are too many. A restarted probe has an empty ledger: ``instance``, in each answer, shows that.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

ENTRIES_PER_BATCH = 200
MAX_ENTRIES = 10_000
"""Details kept over all batches, a few kB each; beyond that the oldest batches lose theirs."""
MAX_BATCHES = 20_000
MAX_INDICES = 1_000_000
_MAX_HITS = 255


class Entry(NamedTuple):
    """One request as it arrived; ``connection`` is the port's serial number of the connection."""

    port: int
    method: str | None
    path: str | None
    headers: dict[str, str]
    connection: int
    remote: str


class BatchRecord:
    """The requests of one batch: distinct ones (``count``), and all (``hits``)."""

    __slots__ = ("by_port", "count", "entries", "has_room", "hits", "hits_by_index")

    def __init__(self) -> None:
        self.hits_by_index = bytearray()
        self.count = 0
        self.hits = 0
        self.by_port: Counter[int] = Counter()
        self.entries: list[tuple[int, Entry]] = []
        self.has_room = True

    def add(self, index: int, port: int) -> None:
        if index >= len(self.hits_by_index):
            self.hits_by_index.extend(bytes(max(index + 1 - len(self.hits_by_index), 64)))
        self.hits += 1
        self.by_port[port] += 1
        self.count += not self.hits_by_index[index]
        self.hits_by_index[index] = min(self.hits_by_index[index] + 1, _MAX_HITS)

    def ranges(self) -> list[list[int]]:
        """The recorded indices, as pairs of first and last."""
        found: list[list[int]] = []
        for index, hits in enumerate(self.hits_by_index):
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
        self.instance = os.urandom(16).hex()
        self.unidentified = 0
        self.dropped = 0
        self._records: dict[str, BatchRecord] = {}
        self._detailed: deque[BatchRecord] = deque()
        self._entries = 0

    def record(self, nonce: str, port: int, entry: Callable[[], Entry]) -> None:
        """Count a request by its nonce, ``<batch>.<index>``; ``entry`` makes its details if there is room.

        A request without a valid nonce counts as ``unidentified``; beyond the limits, as ``dropped``.
        """
        batch, _, digits = nonce.rpartition(".")
        if not batch or not digits.isdigit() or not digits.isascii():
            self.unidentified += 1
            return
        record = self._records.get(batch)
        index = int(digits) if len(digits) < len(str(MAX_INDICES)) else MAX_INDICES
        if index >= MAX_INDICES or (record is None and len(self._records) >= MAX_BATCHES):
            self.dropped += 1
            return
        if record is None:
            record = self._records[batch] = BatchRecord()
        record.add(index, port)
        if record.has_room:
            self._note(record, index, entry())

    def _note(self, record: BatchRecord, index: int, entry: Entry) -> None:
        if not record.entries:
            self._detailed.append(record)
        record.entries.append((index, entry))
        record.has_room = len(record.entries) < ENTRIES_PER_BATCH
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            oldest = self._detailed.popleft()
            self._entries -= len(oldest.entries)
            oldest.entries = []
            oldest.has_room = False

    def query(
        self, batches: list[str], entries: int = ENTRIES_PER_BATCH, indices: bool = False
    ) -> dict[str, Any]:
        """The records of these batches, as JSON; an unknown batch has count 0."""
        known = {name: self._records.get(name) or BatchRecord() for name in batches}
        return {
            "instance": self.instance,
            "unidentified": self.unidentified,
            "dropped": self.dropped,
            "batches": {name: _describe(record, entries, indices) for name, record in known.items()},
        }


def _describe(record: BatchRecord, entries: int, indices: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "count": record.count,
        "hits": record.hits,
        "by_port": {str(port): hits for port, hits in sorted(record.by_port.items())},
        "entries": [{"index": index, **entry._asdict()} for index, entry in record.entries[:entries]],
    }
    if indices:
        described["indices"] = record.ranges()
    return described

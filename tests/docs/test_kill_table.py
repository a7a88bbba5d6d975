"""The kill table is about the faults that there are, and each of them was caught."""

from __future__ import annotations

import re
from pathlib import Path

from conformance.text.markdown import plain
from smi_reference_mesh import faults

PAGE = (Path(__file__).parents[2] / "docs/kill-table.md").read_text(encoding="utf-8")
ROWS = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]


def named(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_every_fault_has_its_row_with_what_it_breaks_and_shows() -> None:
    assert ROWS
    told = [(named(row[0]).pop(), row[1], named(row[3]), named(row[4]), named(row[5])) for row in ROWS]
    assert told == [
        (fault.id, plain(fault.summary), fault.breaks, fault.also_fails, fault.expected_readings.keys())
        for fault in faults.FAULTS.values()
    ], "make kill-table writes the page again"


def test_every_fault_was_caught() -> None:
    assert {row[2].strip() for row in ROWS} == {"caught"}

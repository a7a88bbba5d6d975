"""The page of the variants is about the variants that there are, and what was run of them passed."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from conformance.text.markdown import plain
from smi_reference_mesh.variants import VARIANTS

PAGE = (Path(__file__).parents[2] / "docs/variants.md").read_text(encoding="utf-8")
ROWS = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]


def named(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_every_variant_has_its_row_with_what_it_shows() -> None:
    assert ROWS
    told = [(named(row[0]).pop(), row[1], named(row[4])) for row in ROWS]
    assert told == [(one.id, plain(one.summary), one.expected_readings.keys()) for one in VARIANTS.values()]


def test_every_variant_that_was_run_passed() -> None:
    said = Counter(row[2].strip() for row in ROWS)
    assert set(said) <= {"passed", "not run"}
    assert f"{said['passed']} of {len(VARIANTS)} variants" in PAGE

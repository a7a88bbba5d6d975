"""The page on defects of real meshes: which are recreated, by which faults, and why others are not."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from conformance import catalogue
from smi_reference_mesh import faults

PAGE = (Path(__file__).parents[2] / "docs/defects.md").read_text(encoding="utf-8")
RECREATED, NOT_RECREATED = PAGE.split("## Not recreated")


def rows(part: str) -> dict[str, str]:
    """The last cell of each row of a table, by the defect that it is about."""
    cells = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| `")]
    assert max(Counter(one[0] for one in cells).values()) == 1
    return {one[0].strip("`"): one[-1] for one in cells}


def test_every_origin_of_a_fault_is_a_recreated_defect_with_its_faults() -> None:
    found: dict[str, list[str]] = {}
    for fault in faults.FAULTS.values():
        for origin in fault.real_defects:
            found.setdefault(origin, []).append(fault.id)
    told = {defect: re.findall(r"`([^`]+)`", cell) for defect, cell in rows(RECREATED).items()}
    assert {one: sorted(ids) for one, ids in told.items()} == {one: sorted(ids) for one, ids in found.items()}


def test_a_defect_that_no_fault_recreates_has_its_reason() -> None:
    reasons = rows(NOT_RECREATED)
    assert not reasons.keys() & rows(RECREATED).keys()
    assert all(len(reason.split()) > 3 for reason in reasons.values())


def test_requirements_that_a_reason_names_are_in_the_catalogue() -> None:
    named = [one for reason in rows(NOT_RECREATED).values() for one in re.findall(r"`([a-z0-9-]+)`", reason)]
    assert named
    assert set(named) <= catalogue.load().keys()
    ambiguous = [
        one for reason in rows(NOT_RECREATED).values() for one in re.findall(r"`([^`]+)` is an amb", reason)
    ]
    assert all(catalogue.load()[one].level == "ambiguous" for one in ambiguous)


def test_the_page_is_about_all_defects_that_were_collected() -> None:
    assert len(rows(RECREATED)) + len(rows(NOT_RECREATED)) == 59

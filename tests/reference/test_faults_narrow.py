"""Narrow blame: a fault fails the requirements that it breaks, and few others."""

from __future__ import annotations

from conformance.traceability import index
from smi_reference_mesh.faults import FAULTS

PART = 0.2
"""The permitted share of consequences in all failures under all faults."""
MOST = 3
"""The permitted number of consequences of one fault."""


def test_breaks_and_also_fails_are_disjoint() -> None:
    for fault in FAULTS.values():
        assert not fault.breaks & fault.also_fails, fault.id
        assert fault.breaks or fault.expected_readings, f"{fault.id} is about nothing"


def test_every_tested_requirement_has_a_fault_that_breaks_it() -> None:
    about = {one for fault in FAULTS.values() for one in (*fault.breaks, *fault.expected_readings)}
    assert set(index.by_requirement()) <= about


def test_at_most_one_failure_in_five_is_a_consequence() -> None:
    dragged, failed = (
        sum(len(found) for found in lists)
        for lists in (
            [fault.also_fails for fault in FAULTS.values()],
            [fault.fails for fault in FAULTS.values()],
        )
    )
    assert dragged <= PART * failed, f"{dragged} of {failed}"


def test_no_fault_has_more_than_three_consequences() -> None:
    wide = {one.id: len(one.also_fails) for one in FAULTS.values() if len(one.also_fails) > MOST}
    assert not wide

"""Narrow blame: what fails under a fault is what the fault is about, and little else."""

from __future__ import annotations

from conformance.traceability import index
from smi_reference_mesh.faults import FAULTS

PART = 0.2
"""Of all failures under all faults, how many may be dragged along."""
MOST = 3
"""Failures that one fault may drag along."""


def test_what_a_fault_drags_along_it_is_not_about() -> None:
    for fault in FAULTS.values():
        assert not fault.breaks & fault.also_fails, fault.id
        assert fault.breaks or fault.expected_readings, f"{fault.id} is about nothing"


def test_every_requirement_with_a_test_has_a_fault_that_is_about_it() -> None:
    about = {one for fault in FAULTS.values() for one in (*fault.breaks, *fault.expected_readings)}
    assert set(index.by_requirement()) <= about


def test_at_most_one_failure_in_five_is_dragged_along() -> None:
    dragged, failed = (
        sum(len(found) for found in lists)
        for lists in (
            [fault.also_fails for fault in FAULTS.values()],
            [fault.fails for fault in FAULTS.values()],
        )
    )
    assert dragged <= PART * failed, f"{dragged} of {failed}"


def test_no_fault_drags_more_than_three_others_along() -> None:
    wide = {one.id: len(one.also_fails) for one in FAULTS.values() if len(one.also_fails) > MOST}
    assert not wide

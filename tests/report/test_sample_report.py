"""The report that comes with the project follows from the evidence in it, by the judges as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.report import store
from conformance.report.document import Report
from conformance.report.verify import recompute
from smi_reference_mesh.faults import FAULTS


@pytest.fixture(scope="module")
def sample() -> Report:
    return store.read(Path(__file__).parents[2] / "reports/sample")


def test_every_verdict_follows_from_its_evidence(sample: Report) -> None:
    assert recompute(sample) == []


def test_it_is_of_a_whole_run_on_a_real_cluster(sample: Report) -> None:
    assert not sample.run.interrupted
    assert sample.cluster.context.startswith("kind-")
    assert sample.counts["pass"]
    assert not sample.counts["fail"]


def test_no_reading_that_a_fault_brings_about_is_observed_without_it(sample: Report) -> None:
    """Otherwise the fault would count as caught by a reading that it does not change."""
    observed = {
        (record.id, f"{reading.question}: {word}")
        for record in sample.requirements
        for test in record.tests
        for reading in test.readings
        for word in (reading.word, *(["unacceptable"] if reading.finding else []))
    }
    expected = {
        (requirement, reading): fault.id
        for fault in FAULTS.values()
        for requirement, reading in fault.expected_readings.items()
    }
    assert len(expected) > 10
    assert {fault for key, fault in expected.items() if key in observed} == set()

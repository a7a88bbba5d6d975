"""The report that comes with the project follows from the evidence in it, by the judges as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.report import store
from conformance.report.document import Report
from conformance.report.verify import recompute


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

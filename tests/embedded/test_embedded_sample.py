"""A sample of the suite in the embedded cluster, real Envoys included: a scenario of each API, and faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.catalogue.foundations import BASIC
from conformance.cli import main
from conformance.clusters.embedded import cluster as embedded
from conformance.report import store

pytestmark = pytest.mark.skipif(bool(embedded.problem("reference")), reason=embedded.problem("reference"))

SAMPLE = {
    "common-crud-with-standard-tools",
    "split-zero-weight-gets-nothing",
    "access-only-listed-sources",
    "http-method-specific",
    "metrics-rbac",
}
FAULTS = ["methods-crossed-between-paths", "metrics-open-to-everybody", "split-needs-access-definitions"]


def test_a_requirement_of_each_api_passes_on_the_reference_mesh(tmp_path: Path) -> None:
    command = ["run", "--mesh", "reference", "--reports", str(tmp_path), "--requirement", *sorted(SAMPLE)]
    assert main.main(command) == 0
    (directory,) = tmp_path.iterdir()
    report = store.read(directory)
    # The requirements that they stand on are judged as well.
    passed = {one.id for one in report.requirements if one.outcome == "pass"}
    assert passed == SAMPLE | set(BASIC.values())
    assert report.cluster.context == embedded.NAME


def test_a_mesh_that_claims_a_single_api_is_judged_without_the_others(tmp_path: Path) -> None:
    wanted = ["common-independent-api-claims", "common-api-groups-discoverable", "access-only-listed-sources"]
    command = ["run", "--mesh", "reference-split", "--reports", str(tmp_path), "--requirement", *wanted]
    assert main.main(command) == 0
    (directory,) = tmp_path.iterdir()
    outcomes = {one.id: one.outcome for one in store.read(directory).requirements if one.id in wanted}
    assert outcomes == dict(zip(wanted, ["pass", "pass", "not claimed"], strict=True))


def test_without_a_mesh_requirements_about_traffic_fail(tmp_path: Path) -> None:
    traffic = ["split-zero-weight-gets-nothing", "access-only-listed-sources"]
    command = ["run", "--mesh", "none", "--reports", str(tmp_path), "--requirement", *traffic]
    assert main.main(command) == 1
    (directory,) = tmp_path.iterdir()
    report = store.read(directory)
    assert {one.outcome for one in report.requirements if one.id in traffic} <= {"fail", "inconclusive"}


def test_faults_are_caught_and_blamed_rightly(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.main(["faults", "--jobs", "2", "--fault", *FAULTS]) == 0
    assert "3 of 3 faults caught" in capfd.readouterr().out

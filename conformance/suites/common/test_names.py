"""Kinds have the names of the reference CRDs, on which generic clients and RBAC rules depend."""

from __future__ import annotations

import pytest

from conformance.suite import GROUPS, Conclude, Scenario, judge

pytestmark = pytest.mark.scenario("common/names", arena=("outside",), groups=())

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.requirement("common-short-names-and-columns")
def test_kinds_have_the_plurals_short_names_and_root_column_of_the_reference(
    scenario: Scenario, verdict: Conclude
) -> None:
    resources = [
        scenario.reader.read(f"/apis/{GROUPS[group]}/{version}")
        for group, version in scenario.versions.items()
    ]
    split = next(iter(scenario.objects_for_version("split.yaml")), None)
    table, root = None, ""
    if split is not None:
        scenario.apply_objects([split])
        root = split["spec"]["service"]
        metadata = split["metadata"]
        path = scenario.cluster.path(split["apiVersion"], split["kind"], metadata["namespace"])
        table = scenario.reader.read(path, accept=TABLE)
    verdict(judge.names_and_columns(resources, table, root))

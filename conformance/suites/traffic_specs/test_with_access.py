"""A target follows route groups of the specs version that belongs to its own version."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/with-access", arena=("access",), groups=("access", "specs"), every_version=True
)

CLIENT, SERVER = "access/alpha", "access/server"


@drives_scenario
def followed(scenario: Scenario) -> AccessTable:
    def check(path: str, method: str = "GET", team: str = "", *, granted: bool = False) -> AccessCheck:
        name = " ".join(part for part in (method, path, team) if part)
        headers = {"x-team": team} if team else {}
        return scenario.access_check(
            name, CLIENT, SERVER, granted=granted, control=False, path=path, method=method, headers=headers
        )

    checks, files = [check("/plain", granted=True), check("/plain", "POST"), check("/other")], ["routes.yaml"]
    if scenario.versions["specs"] != "v1alpha1":
        checks += [check("/filtered", team="blue", granted=True), check("/filtered", team="red")]
        checks.append(check("/filtered"))
        files.append("headers.yaml")
    return scenario.access(checks, *files, servers=[SERVER])


@pytest.mark.requirement(
    "common-version-compat-matrix", presumes=("http-path-method-header-conjunction", "http-schema-by-version")
)
def test_a_target_grants_the_routes_of_its_group_and_no_others(
    followed: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(followed))


@pytest.mark.requirement("http-schema-by-version", presumes=("http-path-method-header-conjunction",))
def test_a_group_in_the_shape_of_its_version_is_followed(followed: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(followed))

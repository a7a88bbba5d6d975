"""A target follows the route groups of the version of specs that its own version goes with."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/with-access", arena=("access",), groups=("access", "specs"), every_version=True
)

CLIENT, SERVER = "access/alpha", "access/server"


@drives_scenario
def followed(scenario: Scenario) -> AccessTable:
    def ask(path: str, method: str = "GET", team: str = "") -> AccessCheck:
        call = scenario.call(
            CLIENT, SERVER, path=path, method=method, headers={"x-team": team} if team else {}
        )
        granted = (path, method, team) in {("/plain", "GET", ""), ("/filtered", "GET", "blue")}
        name = " ".join(part for part in (method, path, team) if part)
        return AccessCheck(name, "granted" if granted else "denied", call, "server")

    asks, files = [ask("/plain"), ask("/plain", "POST"), ask("/other")], ["routes.yaml"]
    if scenario.versions["specs"] != "v1alpha1":
        asks += [ask("/filtered", team="blue"), ask("/filtered", team="red"), ask("/filtered")]
        files.append("headers.yaml")
    return scenario.access(asks, *files, servers=[SERVER])


@pytest.mark.requirement(
    "common-version-compat-matrix", presumes=("http-path-method-header-conjunction", "http-schema-by-version")
)
def test_a_target_grants_the_routes_of_its_group_and_no_other(
    followed: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(followed))


@pytest.mark.requirement("http-schema-by-version", presumes=("http-path-method-header-conjunction",))
def test_a_group_in_the_shape_of_its_version_is_followed(followed: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(followed))

"""pathRegex is a regular expression, anchored at the start of the path."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/path",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route",),
)

SERVERS = ("access/server",)
PATHS = {
    "/v1/items/7": "granted",
    "/v2/items/42": "granted",
    "/v3/items/7": "denied",
    "/v1/items/x": "denied",
    "/metrics": "granted",
    "/internal/metrics": "denied",
    "/x/metrics": "denied",
}


def asks(scenario: Scenario, paths: dict[str, str]) -> list[AccessCheck]:
    """One call for each path, of the granted client: only the route decides."""
    return [
        AccessCheck(
            path,
            "granted" if expect == "granted" else "denied",
            scenario.call("access/alpha", "access/server", path=path),
            "server",
        )
        for path, expect in paths.items()
    ]


@drives_scenario
def steps(scenario: Scenario) -> list[AccessTable]:
    expressions = scenario.access(asks(scenario, PATHS), "1-expressions.yaml", servers=SERVERS)
    everything = scenario.access(
        asks(scenario, {"/v3/items/7": "granted", "/": "granted"}), "2-everything.yaml", servers=SERVERS
    )
    return [expressions, everything]


@pytest.mark.requirement("http-path-is-regex")
def test_a_path_is_matched_as_an_expression(steps: list[AccessTable], verdict: Conclude) -> None:
    expressions, everything = steps
    items = expressions.select("/v1/items/7", "/v2/items/42", "/v3/items/7", "/v1/items/x")
    verdict(
        judge.all_of(
            expressions=judge.access_enforced(items),
            everything=judge.access_enforced(everything),
        )
    )


@pytest.mark.requirement("http-path-regex-anchored-at-start")
def test_a_path_that_only_contains_the_expression_is_denied(
    steps: list[AccessTable], verdict: Conclude
) -> None:
    expressions, _ = steps
    verdict(judge.access_enforced(expressions.select("/metrics", "/internal/metrics", "/x/metrics")))

"""pathRegex is a regular expression, anchored at the start of the path."""

from __future__ import annotations

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/path",
    arena=("access",),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route",),
)

SERVERS = ("access/server",)
PATHS = {
    "/v1/items/7": GRANTED,
    "/v2/items/42": GRANTED,
    "/v3/items/7": DENIED,
    "/v1/items/x": DENIED,
    "/metrics": GRANTED,
    "/internal/metrics": DENIED,
    "/x/metrics": DENIED,
}


@drives_scenario
def steps(scenario: Scenario) -> list[AccessTable]:
    # All calls come from the granted client: only the route decides.
    expressions = scenario.access(scenario.request_checks(PATHS), "1-expressions.yaml", servers=SERVERS)
    others = scenario.request_checks({"/v3/items/7": GRANTED, "/": GRANTED})
    return [expressions, scenario.access(others, "2-everything.yaml", servers=SERVERS)]


@pytest.mark.requirement("http-path-is-regex")
def test_a_path_is_matched_as_a_regular_expression(steps: list[AccessTable], verdict: Conclude) -> None:
    expressions, everything = steps
    items = expressions.select("/v1/items/7", "/v2/items/42", "/v3/items/7", "/v1/items/x")
    verdict(
        judge.all_of(
            expressions=judge.access_enforced(items),
            everything=judge.access_enforced(everything),
        )
    )


@pytest.mark.requirement("http-path-regex-anchored-at-start")
def test_a_path_that_contains_the_expression_further_on_is_denied(
    steps: list[AccessTable], verdict: Conclude
) -> None:
    expressions, _ = steps
    verdict(judge.access_enforced(expressions.select("/metrics", "/internal/metrics", "/x/metrics")))

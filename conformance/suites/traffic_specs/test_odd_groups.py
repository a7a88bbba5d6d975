"""Routes that the specification leaves open, each under a grant of its own: fields missing or repeated."""

from __future__ import annotations

import pytest

from conformance.suite import (
    AccessTrials,
    Conclude,
    Scenario,
    TrialRegister,
    answered,
    drives_scenario,
    judge,
    refused,
    unanswered,
)

pytestmark = pytest.mark.scenario(
    "traffic-specs/odd-groups", arena=("access", "peer"), groups=("access", "specs"), alone=True
)

GRANTED_OR_NOT = (answered("a", "server"), unanswered("b"), refused("b"))
GRANTED_OR_NOT_AT_OTHER = (answered("a", "other"), unanswered("b"), refused("b"))
trials = TrialRegister(
    ["access/server", "access/other", "access/third"],
    {"client": "access/alpha", "service": "access/server", "requests": 10, "baseline_responders": ()},
)


@drives_scenario
def seen(scenario: Scenario) -> AccessTrials:
    states = {"/steady/first": "1-steady.yaml", "/steady/second": "3-steady.yaml"}
    return trials.run_beside_grants(
        scenario, states, judge.access_enforced, files=["2-odd.yaml", "2-tcp.yaml"]
    )


PATH_ALONE = trials.declare(
    "path alone", "a path alone", GRANTED_OR_NOT, object_name="path-alone", path="/path-alone"
)
NO_METHODS = trials.declare(
    "no methods", "an empty list of methods", GRANTED_OR_NOT, object_name="no-methods", path="/no-methods"
)
beta_to_other = trials.with_defaults(client="access/beta", service="access/other")
METHODS_ALONE = beta_to_other.declare(
    "methods alone",
    "methods alone",
    GRANTED_OR_NOT_AT_OTHER,
    object_name="methods-alone",
    path="/methods-alone",
)
LET_THROUGH = answered("b", "other", finding="a match of GET alone lets POST through")
OTHER_METHOD = beta_to_other.declare(
    "POST where GET alone is listed",
    "what methods alone leave out",
    (unanswered("a"), refused("a"), LET_THROUGH),
    object_name="methods-alone",
    method="POST",
    path="/methods-alone",
)
NAME_ALONE = trials.declare(
    "name alone",
    "a name alone",
    GRANTED_OR_NOT_AT_OTHER,
    object_name="name-alone",
    isolated=True,
    client="access/gamma",
    service="access/other",
    path="/name-alone",
)


@pytest.mark.requirement("http-required-fields-contradiction")
def test_a_match_that_lacks_a_field_follows_a_reading(seen: AccessTrials, verdict: Conclude) -> None:
    verdict(seen.reading(PATH_ALONE, NO_METHODS, METHODS_ALONE, OTHER_METHOD, NAME_ALONE))


FIRST_TWIN, LAST_TWIN = (
    trials.declare(
        f"{which} twin",
        f"{which} of two matches of one name",
        GRANTED_OR_NOT,
        object_name="twins",
        path=f"/twin/{which}",
    )
    for which in ("first", "last")
)
OPENED = answered("b", "other", finding="a group without matches opens everything")
NO_MATCH = beta_to_other.declare(
    "no match",
    "an empty list of matches",
    (unanswered("a"), refused("a"), OPENED),
    object_name="empty",
    isolated=True,
    path="/anything",
)


@pytest.mark.requirement("http-duplicate-or-empty-matches")
def test_a_group_with_two_matches_of_one_name_or_none_follows_a_reading(
    seen: AccessTrials, verdict: Conclude
) -> None:
    verdict(seen.reading(FIRST_TWIN, LAST_TWIN, NO_MATCH))


tcp = trials.with_defaults(
    client="access/gamma", service="access/server-tcp", carried="tcp", protocol="tcp", port=9000
)
EMPTY_SPEC = tcp.declare("spec: {}", "an empty spec", GRANTED_OR_NOT, object_name="spec-empty")
EMPTY_MATCHES = tcp.declare(
    "matches: {}", "empty matches", GRANTED_OR_NOT, object_name="matches-empty", client="peer/peer"
)
NO_SPEC = tcp.declare(
    "no spec",
    "no spec",
    GRANTED_OR_NOT_AT_OTHER,
    object_name="spec-absent",
    client="access/alpha",
    service="access/other-tcp",
)


@pytest.mark.requirement("l4-ports-omitted")
def test_a_tcp_route_without_ports_follows_a_reading(seen: AccessTrials, verdict: Conclude) -> None:
    verdict(seen.reading(EMPTY_SPEC, EMPTY_MATCHES, NO_SPEC))

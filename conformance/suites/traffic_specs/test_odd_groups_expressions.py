"""Expressions for paths and headers that the specification leaves open, each under a grant of its own."""

from __future__ import annotations

import pytest

from conformance.suite import (
    AccessTrials,
    Conclude,
    Scenario,
    TrialRegister,
    answered,
    drives_scenario,
    finding,
    host_without_port,
    judge,
    refused,
    unanswered,
)

pytestmark = pytest.mark.scenario(
    "traffic-specs/odd-groups-expressions", arena=("access",), groups=("access", "specs"), alone=True
)

trials = TrialRegister(
    ["access/server", "access/other", "access/third"],
    {"client": "access/alpha", "service": "access/server", "requests": 10, "baseline_responders": ()},
)


@drives_scenario
def seen(scenario: Scenario) -> AccessTrials:
    states = {"/steady/first": "1-steady.yaml", "/steady/second": "3-steady.yaml"}
    return trials.run_beside_grants(
        scenario, states, judge.access_enforced, files=["2-odd.yaml", "2-headers.yaml"]
    )


END = [
    trials.declare(
        path,
        "end of a path expression",
        (answered("a", "server"), unanswered("b")),
        object_name="ends",
        path=path,
    )
    for path in ("/ends/x", "/endsfoo")
]


@pytest.mark.requirement("http-path-regex-end")
def test_the_end_of_a_path_expression_follows_a_reading(seen: AccessTrials, verdict: Conclude) -> None:
    verdict(seen.reading(*END))


QUERY = trials.declare(
    "/query?x=1",
    "query string",
    (answered("a", "server"), unanswered("b")),
    object_name="query",
    path="/query?x=1",
)
TOO_MUCH = "an application that resolves the dots would serve what was not granted"
DOTS = trials.declare(
    "/public/../admin",
    "dots in a path",
    (answered("a", "server", finding=TOO_MUCH), unanswered("b")),
    object_name="forms",
    path="/public/../admin",
)
EQUIVALENT = [
    trials.declare(path, question, (unanswered("a"), answered("b", "server")), object_name="forms", path=path)
    for path, question in {
        "/./plain": "a single dot in a path",
        "/pl%61in": "encoded letters in a path",
        "//plain": "slashes in a path",
        "/PLAIN": "case of a path",
    }.items()
]


@pytest.mark.requirement("http-path-query-and-normalisation")
def test_normalisation_of_a_request_path_follows_a_reading(seen: AccessTrials, verdict: Conclude) -> None:
    verdict(seen.reading(QUERY, DOTS, *EQUIVALENT))


GRANTED_OR_NOT = (answered("a", "server"), unanswered("b"), refused("b"))
INSIDE = trials.declare(
    "inside a value",
    "end of an expression for a header",
    GRANTED_OR_NOT,
    object_name="value",
    path="/value",
    headers={"x-agent": "Mozilla Firefox 1"},
)
SENT_TWICE_FIRST, SENT_TWICE_LAST = (
    trials.declare(
        f"sent twice, {which}",
        "a header that is sent twice",
        GRANTED_OR_NOT,
        object_name="repeated",
        path="/repeated",
        headers={"x-user": first, "X-User": last},
    )
    for which, first, last in (("first", "alice", "bob"), ("last", "bob", "alice"))
)
NOT_SENT = trials.declare(
    "not sent", "a header that is not sent", GRANTED_OR_NOT, object_name="absent", path="/absent"
)
PORT_COUNTS = "a condition that covers a host with and without its port does not match it with its port"
HOST_AND_PORT = trials.declare(
    "host and port",
    "a Host header with a port",
    (answered("a", "server"), unanswered("b", PORT_COUNTS), refused("b")),
    object_name="hosts",
    path="/host",
)
HOST_ALONE = trials.declare(
    "host alone",
    "a Host header with a port",
    (answered("ab", "server"),),
    findings=[finding("a condition on the Host header matches nothing")],
    object_name="hosts",
    path="/host",
    adapt=host_without_port,
)


@pytest.mark.requirement("http-header-regex-details")
def test_an_expression_for_a_header_follows_a_reading(seen: AccessTrials, verdict: Conclude) -> None:
    verdict(seen.reading(INSIDE, SENT_TWICE_FIRST, SENT_TWICE_LAST, NOT_SENT, HOST_AND_PORT, HOST_ALONE))

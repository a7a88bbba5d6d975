"""What becomes of routes that the specification leaves open, each under a grant of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from conformance.suite import (
    AccessCheck,
    AccessTable,
    Behaviour,
    Conclude,
    ExpectedResponders,
    Judgement,
    Scenario,
    Trial,
    TrialPlan,
    TrialResults,
    drives_scenario,
    judge,
    observe_access,
)

pytestmark = pytest.mark.scenario(
    "traffic-specs/odd-groups", arena=("access", "peer"), groups=("access", "specs"), alone=True
)

SERVERS = ("access/server", "access/other", "access/third")
REQUESTS = 10
PORT_COUNTS = "a condition that covers a host with and without its port does not match it with its port"
TOO_MUCH = "an application that resolves the dots would serve what was not granted"


def granted(letter: str, **what: Any) -> Behaviour:
    return Behaviour(letter, ("server",), **what)


GRANTED_OR_DENIED = (granted("a"), Behaviour("b"))
DENIED_OR_GRANTED = (Behaviour("a"), granted("b"))
VALID_OR_NOT = (granted("a"), Behaviour("b"), Behaviour("b", refused=True))

THIRD = ("third",)
OPENED = "it opens something"
STAYS_CLOSED = (Behaviour("a"), Behaviour("a", refused=True), Behaviour("b", THIRD, finding=OPENED))
ELSE_GRANTED = (
    Behaviour("a", THIRD),
    Behaviour("a", refused=True),
    Behaviour("b", finding="what else is granted at that account no longer takes effect"),
)

TRIALS: Mapping[str, tuple[str, dict[str, Any], tuple[Behaviour, ...], str]] = {
    "/ends/x": ("end of a path expression", {"path": "/ends/x"}, GRANTED_OR_DENIED, "ends"),
    "/endsfoo": ("end of a path expression", {"path": "/endsfoo"}, GRANTED_OR_DENIED, "ends"),
    "/query?x=1": ("query string", {"path": "/query?x=1"}, GRANTED_OR_DENIED, "query"),
    "/public/../admin": (
        "dots in a path",
        {"path": "/public/../admin"},
        (granted("a", finding=TOO_MUCH), Behaviour("b")),
        "forms",
    ),
    "/./plain": ("a single dot in a path", {"path": "/./plain"}, DENIED_OR_GRANTED, "forms"),
    "/pl%61in": ("encoded letters in a path", {"path": "/pl%61in"}, DENIED_OR_GRANTED, "forms"),
    "//plain": ("slashes in a path", {"path": "//plain"}, DENIED_OR_GRANTED, "forms"),
    "/PLAIN": ("case of a path", {"path": "/PLAIN"}, DENIED_OR_GRANTED, "forms"),
    "path alone": ("a path alone", {"path": "/path-alone"}, VALID_OR_NOT, "path-alone"),
    "no methods": ("an empty list of methods", {"path": "/no-methods"}, VALID_OR_NOT, "no-methods"),
    "methods alone": (
        "methods alone",
        {"client": "beta", "server": "other", "path": "/methods-alone"},
        (Behaviour("a", ("other",)), Behaviour("b"), Behaviour("b", refused=True)),
        "methods-alone",
    ),
    "POST where GET alone is listed": (
        "what methods alone leave out",
        {"client": "beta", "server": "other", "path": "/methods-alone", "method": "POST"},
        (
            Behaviour("a"),
            Behaviour("a", refused=True),
            Behaviour("b", ("other",), finding="a match of GET alone lets POST through"),
        ),
        "methods-alone",
    ),
    "name alone": (
        "a name alone",
        {"client": "gamma", "server": "other", "path": "/name-alone"},
        (Behaviour("a", ("other",)), Behaviour("b"), Behaviour("b", refused=True)),
        "name-alone",
    ),
    "first twin": ("first of two matches of one name", {"path": "/twin/first"}, VALID_OR_NOT, "twins"),
    "last twin": ("last of two matches of one name", {"path": "/twin/last"}, VALID_OR_NOT, "twins"),
    "no match": (
        "an empty list of matches",
        {"client": "beta", "server": "other", "path": "/anything"},
        (
            Behaviour("a"),
            Behaviour("a", refused=True),
            Behaviour("b", ("other",), finding="a group without matches opens everything"),
        ),
        "empty",
    ),
    "beside the broken": (
        "a match beside an expression that does not compile",
        {"server": "third", "path": "/beside-broken"},
        (Behaviour("a", refused=True), Behaviour("b", THIRD), Behaviour("c")),
        "broken",
    ),
    "the broken": (
        "an expression that does not compile",
        {"server": "third", "path": "/broken("},
        (Behaviour("a", refused=True), Behaviour("b"), Behaviour("c", THIRD, finding=OPENED)),
        "broken",
    ),
    "away from the broken": (
        "what an expression that does not compile is not about",
        {"server": "third", "path": "/unrelated"},
        STAYS_CLOSED,
        "broken",
    ),
    "granted at the account of the broken": (
        "what else is granted where an expression does not compile",
        {"client": "gamma", "server": "third", "path": "/sound/second"},
        ELSE_GRANTED,
        "broken",
    ),
    "look-ahead": (
        "an expression with a look-ahead",
        {"client": "gamma", "server": "third", "path": "/ahead/y"},
        (Behaviour("a", refused=True), Behaviour("b"), Behaviour("c", THIRD)),
        "ahead",
    ),
    "what the look-ahead excludes": (
        "what a look-ahead excludes",
        {"client": "gamma", "server": "third", "path": "/ahead/x"},
        STAYS_CLOSED,
        "ahead",
    ),
    "away from the look-ahead": (
        "what an expression with a look-ahead is not about",
        {"client": "gamma", "server": "third", "path": "/unrelated"},
        STAYS_CLOSED,
        "ahead",
    ),
    "granted at the account of the look-ahead": (
        "what else is granted where an expression has a look-ahead",
        {"server": "third", "path": "/sound/second"},
        ELSE_GRANTED,
        "ahead",
    ),
    "inside a value": (
        "end of an expression for a header",
        {"path": "/value", "headers": {"x-agent": "Mozilla Firefox 1"}},
        (granted("a"), Behaviour("b"), Behaviour("b", refused=True)),
        "value",
    ),
    "sent twice, first": (
        "a header that is sent twice",
        {"path": "/repeated", "headers": {"x-user": "alice", "X-User": "bob"}},
        (granted("a"), Behaviour("b"), Behaviour("b", refused=True)),
        "repeated",
    ),
    "sent twice, last": (
        "a header that is sent twice",
        {"path": "/repeated", "headers": {"x-user": "bob", "X-User": "alice"}},
        (granted("a"), Behaviour("b"), Behaviour("b", refused=True)),
        "repeated",
    ),
    "not sent": (
        "a header that is not sent",
        {"path": "/absent"},
        (granted("a"), Behaviour("b"), Behaviour("b", refused=True)),
        "absent",
    ),
    "host and port": (
        "a Host header with a port",
        {"path": "/host"},
        (granted("a"), Behaviour("b", finding=PORT_COUNTS), Behaviour("b", refused=True)),
        "hosts",
    ),
    "host alone": (
        "a Host header with a port",
        {"path": "/host", "portless": True},
        (granted("ab"), Behaviour("", finding="a condition on the Host header matches nothing")),
        "hosts",
    ),
    "spec: {}": ("an empty spec", {"client": "gamma", "tcp": True}, VALID_OR_NOT, "spec-empty"),
    "matches: {}": ("empty matches", {"client": "peer/peer", "tcp": True}, VALID_OR_NOT, "matches-empty"),
    "no spec": (
        "no spec",
        {"server": "other", "tcp": True},
        (Behaviour("a", ("other",)), Behaviour("b"), Behaviour("b", refused=True)),
        "spec-absent",
    ),
}
"""By trial: the question, the call, how its readings look, and the object that it is about."""
EXPRESSIONS = (
    "the broken",
    "away from the broken",
    "beside the broken",
    "granted at the account of the broken",
    "look-ahead",
    "what the look-ahead excludes",
    "away from the look-ahead",
    "granted at the account of the look-ahead",
)
APART = frozenset({"name-alone", "empty", "broken", "ahead"})
"""What may stop a mesh, or open or close everything at a server, so that nothing else is there beside it."""
SOUND = {"broken": ("gamma", "sound-by-broken"), "ahead": ("alpha", "sound-by-ahead")}
"""By object: the client of a sound grant at the same account, and what that is called. It is edited last."""


def trial(
    scenario: Scenario,
    name: str,
    *,
    client: str = "alpha",
    server: str = "server",
    tcp: bool = False,
    portless: bool = False,
    **what: Any,
) -> Trial:
    of, _, looks, about = TRIALS[name]
    if tcp:
        server, what = f"{server}-tcp", {**what, "protocol": "tcp", "port": 9000}
    sender = client if "/" in client else f"access/{client}"
    call = scenario.call(sender, f"access/{server}", requests=REQUESTS, **what)
    if portless:
        call = replace(call, headers={"host": call.host})
    found = Trial(name, of, call, looks, baseline_responders=(), object_name=about, apart=about in APART)
    if about not in SOUND:
        return found
    sender, sound = SOUND[about]
    first = scenario.call(f"access/{sender}", f"access/{server}", path="/sound/first")
    prior = ExpectedResponders(first, frozenset(THIRD), unreachable_before=True)
    last = looks is ELSE_GRANTED
    return replace(
        found,
        beside=(sound,),
        prior=prior,
        sample_before_late_files=not last,
        must_appear=THIRD if last else (),
    )


@drives_scenario
def seen(scenario: Scenario) -> TrialResults[AccessTable]:
    def steady(now: str, other: str) -> list[AccessCheck]:
        def call(path: str) -> Any:
            return scenario.call("access/alpha", "access/server", path=f"/steady/{path}")

        return [
            AccessCheck(now, "granted", call(now), "server"),
            AccessCheck(other, "denied", call(other), "server"),
        ]

    trials = [
        trial(scenario, name, **call)
        for name, (_, call, _, _) in TRIALS.items()
        if scenario.carries("tcp" if "tcp" in call else "http")
    ]
    files = ["2-odd.yaml", "2-headers.yaml", "2-tcp.yaml"]
    odd = TrialPlan(trials, files, SERVERS, late=["4-sound.yaml"], earlier=["1-sound.yaml"])
    first, second = steady("first", "second"), steady("second", "first")
    return observe_access(scenario, odd, (first, "1-steady.yaml"), (second, "3-steady.yaml"))


def reading(seen: TrialResults[AccessTable], *names: str) -> Judgement:
    """Which readings the trials of these names show, beside the effect that was in force."""
    effect = judge.access_enforced(seen.effect)
    return judge.reading(effect, seen.select(*names), effect)


@pytest.mark.requirement("http-path-regex-end")
def test_where_an_expression_for_a_path_ends(seen: TrialResults[AccessTable], verdict: Conclude) -> None:
    verdict(reading(seen, "/ends/x", "/endsfoo"))


@pytest.mark.requirement("http-path-query-and-normalisation")
def test_what_of_a_request_a_path_is_compared_with(
    seen: TrialResults[AccessTable], verdict: Conclude
) -> None:
    verdict(reading(seen, "/query?x=1", "/public/../admin", "/./plain", "/pl%61in", "//plain", "/PLAIN"))


@pytest.mark.requirement("http-required-fields-contradiction")
def test_what_a_match_that_lacks_a_field_matches(seen: TrialResults[AccessTable], verdict: Conclude) -> None:
    verdict(
        reading(
            seen, "path alone", "no methods", "methods alone", "POST where GET alone is listed", "name alone"
        )
    )


@pytest.mark.requirement("http-duplicate-or-empty-matches")
def test_what_two_matches_of_one_name_and_none_at_all_open(
    seen: TrialResults[AccessTable], verdict: Conclude
) -> None:
    verdict(reading(seen, "first twin", "last twin", "no match"))


@pytest.mark.requirement("http-regex-dialect-and-invalid")
def test_what_becomes_of_an_expression_that_does_not_compile(
    seen: TrialResults[AccessTable], verdict: Conclude
) -> None:
    verdict(reading(seen, *EXPRESSIONS))


@pytest.mark.requirement("http-header-regex-details")
def test_how_an_expression_for_a_header_is_read(seen: TrialResults[AccessTable], verdict: Conclude) -> None:
    verdict(
        reading(
            seen,
            "inside a value",
            "sent twice, first",
            "sent twice, last",
            "not sent",
            "host and port",
            "host alone",
        )
    )


@pytest.mark.requirement("l4-ports-omitted")
def test_which_ports_a_tcp_route_without_any_opens(
    seen: TrialResults[AccessTable], verdict: Conclude
) -> None:
    verdict(reading(seen, "spec: {}", "matches: {}", "no spec"))

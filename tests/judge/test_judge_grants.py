"""The access table: pass, fail, inconclusive, and what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judge_evidence import SETTLED, UNSETTLED, cell, silence, traffic

from conformance import judge
from conformance.evidence import Cell, Traffic
from conformance.verdict import Verdict

OPEN = traffic({"server": 10})
GRANTED = cell("GET /allowed", "granted", OPEN)
DENIED = cell("GET /other", "denied", silence())


def test_a_table_that_holds_passes() -> None:
    found = judge.access([GRANTED, DENIED, replace(DENIED, name="PUT /allowed")], SETTLED)
    assert found.verdict is Verdict.PASS
    assert found.summary == "all 3 cells (1 granted, 2 denied) as expected"
    assert found.expected == "granted: GET /allowed; denied: GET /other, PUT /allowed"


def test_the_form_of_a_denial_does_not_matter() -> None:
    forbidden = traffic({}, sent=10, statuses={"403": 10})
    assert judge.access([GRANTED, cell("403", "denied", forbidden)], SETTLED).passed


def test_a_denied_request_in_a_ledger_fails_whatever_the_client_saw() -> None:
    leaky = traffic({}, sent=10, statuses={"403": 10}, reached={"server": 1})
    found = judge.access([GRANTED, cell("GET /other", "denied", leaky)], SETTLED)
    assert found.verdict is Verdict.FAIL
    assert found.summary == (
        "1 of 2 cells not as expected: 'GET /other' is denied, but 1 of 10 requests got through (server 1)"
    )


@pytest.mark.parametrize(
    "cells",
    [
        (cell("leak", "denied", OPEN),),
        (cell("leak", "denied", OPEN), replace(GRANTED, traffic=silence())),
        (cell("leak", "denied", traffic({"somebody-else": 1}, sent=10)), GRANTED),
    ],
    ids=["no control", "broken control", "another server"],
)
def test_a_leak_fails_even_unsettled_and_without_controls(cells: tuple[Cell, ...]) -> None:
    found = judge.access(cells, UNSETTLED)
    assert found.verdict is Verdict.FAIL
    assert "got through" in found.summary


def test_the_hint_points_to_the_ledgers_where_all_that_is_wrong_leaked() -> None:
    leak = cell("leak", "denied", OPEN)
    assert "in the servers' ledgers" in judge.access([GRANTED, leak], SETTLED).hint
    shut = replace(GRANTED, traffic=silence())
    assert "matches the route" in judge.access([shut, leak], SETTLED).hint


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (silence(), "10 of 10 requests failed (reset 10)"),
        (traffic({"server": 9}, sent=10, failures={"reset": 1}), "1 of 10 requests failed (reset 1)"),
        (traffic({"twin": 10}), "10 of 10 requests went where none may go (twin 10)"),
        (
            traffic({"server": 10}, statuses={"500": 10}),
            "was answered otherwise than with 200: status 500 10",
        ),
    ],
    ids=["none", "some", "elsewhere", "another status"],
)
def test_a_grant_that_does_not_open_fails(seen: object, said: str) -> None:
    found = judge.access([cell("GET /allowed", "granted", seen)], SETTLED)  # type: ignore[arg-type]
    assert found.verdict is Verdict.FAIL
    assert said in found.summary


def test_a_grant_that_did_not_settle_fails() -> None:
    found = judge.access([GRANTED, DENIED], UNSETTLED)
    assert found.verdict is Verdict.FAIL
    assert found.summary == (
        "not settled within 60 s: v2 is reached from every client; 1 of 2 cells not as expected: "
        "'GET /allowed' is granted, but the grant was not seen in force in time"
    )


def test_a_grant_that_was_open_before_is_inconclusive() -> None:
    found = judge.access([replace(GRANTED, before=OPEN)], SETTLED)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        "1 of 1 cell not as expected: 'GET /allowed' cannot be told from no mesh: "
        "10 of 10 requests went through without the grant"
    )


@pytest.mark.parametrize(
    "before",
    [
        traffic({"server": 1}, sent=10, reached={}),
        traffic({}, sent=10, failures={"timeout": 10}, reached={"server": 1}),
    ],
    ids=["answered only", "reached only"],
)
def test_a_grant_that_let_anything_through_before_is_inconclusive(before: Traffic) -> None:
    found = judge.access([replace(GRANTED, before=before)], SETTLED)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "1 of 10 requests went through without the grant" in found.summary


@pytest.mark.parametrize("before", [None, traffic({})], ids=["none", "empty"])
def test_a_grant_without_null_control_is_inconclusive(before: object) -> None:
    found = judge.access([replace(GRANTED, before=before)], SETTLED)  # type: ignore[arg-type]
    assert found.verdict is Verdict.INCONCLUSIVE


def test_a_grant_whose_ledger_misses_requests_is_inconclusive() -> None:
    lost = traffic({"server": 10}, reached={"server": 4})
    assert judge.access([cell("x", "granted", lost)], SETTLED).verdict is Verdict.INCONCLUSIVE


def test_a_denial_alone_is_inconclusive() -> None:
    found = judge.access([DENIED], SETTLED)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        "1 of 1 cell not as expected: 'GET /other' denial without positive control: "
        "no call of client-a to server, nor to its twin, went through"
    )


@pytest.mark.parametrize(
    "control",
    [
        cell("other client", "granted", traffic({"server": 10}, client="client-b")),
        cell("other server", "granted", traffic({"server-b": 10}), server="server-b"),
    ],
    ids=lambda control: control.name,
)
def test_a_grant_of_another_client_or_server_is_no_control(control: Cell) -> None:
    assert judge.access([control, DENIED], SETTLED).verdict is Verdict.INCONCLUSIVE


def test_a_twin_that_is_reached_is_a_control() -> None:
    assert judge.access([replace(DENIED, control=traffic({"twin": 10}))], SETTLED).passed


def test_a_client_is_not_its_own_twin() -> None:
    denied = cell("by pod address", "denied", silence(client="outside/outsider"))
    itself, another = (
        replace(denied, control=traffic({name: 10}, client="outside/outsider"))
        for name in ("outsider", "stranger")
    )
    assert judge.access([itself], SETTLED).verdict is Verdict.INCONCLUSIVE
    assert judge.access([another], SETTLED).passed


@pytest.mark.parametrize(
    "twin",
    [
        silence(),
        traffic({}),
        traffic({"twin": 10}, client="client-b"),
        traffic({"twin": 10}, reached={}),
        traffic({"twin": 10}, statuses={"503": 10}),
    ],
    ids=["silent", "not tried", "another client", "without ledger", "another status"],
)
def test_a_twin_that_is_not_reached_is_no_control(twin: object) -> None:
    found = judge.access([replace(DENIED, control=twin)], SETTLED)  # type: ignore[arg-type]
    assert found.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("lost", "reset"), [(10, 0), (1, 9)], ids=["all", "one"])
def test_a_denial_whose_name_did_not_resolve_is_inconclusive(lost: int, reset: int) -> None:
    nameless = traffic({}, failures={"dns": lost, "reset": reset}, sent=10)
    denied = cell("GET /other", "denied", nameless, control=traffic({"twin": 10}))
    found = judge.access([denied], SETTLED)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        f"1 of 1 cell not as expected: 'GET /other' is denied, but "
        f"{lost} of 10 requests never left the client: the name root did not resolve "
        "(environment or profile: hosts.service, cluster_domain)"
    )


def test_what_leaked_fails_even_where_a_name_did_not_always_resolve() -> None:
    leaky = traffic({"server": 1}, sent=10, failures={"dns": 9})
    found = judge.access([GRANTED, cell("GET /other", "denied", leaky)], SETTLED)
    assert found.verdict is Verdict.FAIL


def test_a_grant_whose_name_did_not_resolve_before_is_inconclusive() -> None:
    before = traffic({}, sent=3, failures={"dns": 1, "reset": 2})
    found = judge.access([replace(GRANTED, before=before)], SETTLED)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        "1 of 1 cell not as expected: 'GET /allowed' has no null control: without the grant "
        "1 of 3 requests never left the client: the name root did not resolve "
        "(environment or profile: hosts.service, cluster_domain)"
    )


def test_a_denial_before_anything_settled_is_inconclusive() -> None:
    found = judge.access([replace(DENIED, control=traffic({"twin": 10}))], UNSETTLED)
    assert found.verdict is Verdict.INCONCLUSIVE


def test_calls_that_were_never_made_are_inconclusive() -> None:
    assert judge.access([], SETTLED).verdict is Verdict.INCONCLUSIVE
    assert judge.access([replace(GRANTED, traffic=traffic({}))], SETTLED).verdict is Verdict.INCONCLUSIVE
    assert judge.access([GRANTED, replace(DENIED, traffic=traffic({}))], SETTLED).verdict is (
        Verdict.INCONCLUSIVE
    )


def test_raw_connections_have_no_status() -> None:
    tcp = traffic({"server": 10}, statuses={})
    assert judge.access([cell("tcp", "granted", tcp), DENIED], SETTLED).passed

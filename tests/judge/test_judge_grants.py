"""The access table: pass, fail, inconclusive, and their messages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judge_evidence import CONVERGED, NOT_CONVERGED, cell, silence, traffic

from conformance import judge
from conformance.model.evidence import AccessResult, AccessTable, Convergence, Traffic
from conformance.model.verdict import Verdict

OPEN = traffic({"server": 10})
GRANTED = cell("GET /allowed", "granted", OPEN)
DENIED = cell("GET /other", "denied", silence())
FORBIDDEN = traffic({}, sent=10, statuses={"403": 10})


def test_a_table_that_holds_passes() -> None:
    found = judge.access_enforced(AccessTable([GRANTED, DENIED, replace(DENIED, name="PUT /allowed")]))
    assert found.verdict is Verdict.PASS
    assert found.summary == "all 3 calls (1 granted, 2 denied) as expected"
    assert found.expected == "granted: GET /allowed; denied: GET /other, PUT /allowed"


def test_the_form_of_a_denial_does_not_matter() -> None:
    forbidden = traffic({}, sent=10, statuses={"403": 10})
    assert judge.access_enforced(AccessTable([GRANTED, cell("403", "denied", forbidden)])).passed


def test_a_denied_request_in_a_ledger_fails_whatever_the_client_saw() -> None:
    leaky = traffic({}, sent=10, statuses={"403": 10}, received={"server": 1})
    found = judge.access_enforced(AccessTable([GRANTED, cell("GET /other", "denied", leaky)]))
    assert found.verdict is Verdict.FAIL
    assert found.summary == (
        "1 of 2 calls not as expected: 'GET /other' is denied, but 1 of 10 requests got through "
        "(server 1; its client saw status 403 10)"
    )


@pytest.mark.parametrize(
    "results",
    [
        (cell("leak", "denied", OPEN),),
        (cell("leak", "denied", OPEN), replace(GRANTED, traffic=silence())),
        (cell("leak", "denied", traffic({"somebody-else": 1}, sent=10)), GRANTED),
    ],
    ids=["no control", "broken control", "another server"],
)
def test_a_leak_fails_even_unconverged_and_without_controls(results: tuple[AccessResult, ...]) -> None:
    found = judge.access_enforced(AccessTable([replace(one, convergence=NOT_CONVERGED) for one in results]))
    assert found.verdict is Verdict.FAIL
    assert "got through" in found.summary


def test_a_leak_is_reported_with_its_clients_view() -> None:
    leaky = traffic({}, sent=10, statuses={"403": 10}, received={"server": 10})
    told = judge.access_enforced(AccessTable([GRANTED, cell("GET /other", "denied", leaky)])).summary
    assert told.endswith("10 of 10 requests got through (server 10; its client saw status 403 10)")


class TestTheHint:
    leak = cell("leak", "denied", OPEN)
    shut = replace(GRANTED, traffic=silence())

    def test_points_to_the_ledgers_where_all_that_is_wrong_leaked(self) -> None:
        assert "the servers' ledgers hold" in judge.access_enforced(AccessTable([GRANTED, self.leak])).hint

    def test_points_to_the_route_where_another_grant_took_effect(self) -> None:
        hint = judge.access_enforced(AccessTable([replace(self.shut, name="shut"), GRANTED, self.leak])).hint
        assert hint == "see whether the call matches the route as the specification defines it"

    def test_points_to_the_objects_where_no_grant_changed_anything(self) -> None:
        assert judge.access_enforced(AccessTable([self.shut, DENIED])).hint.startswith(
            "none of these grants took effect"
        )

    def test_points_to_the_route_where_a_grant_changed_something(self) -> None:
        changed = replace(self.shut, traffic=traffic({}, sent=10, statuses={"403": 10}))
        assert judge.access_enforced(AccessTable([changed])).hint.startswith("see whether the call matches")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (silence(), "10 of 10 requests failed (reset 10)"),
        (traffic({"server": 9}, sent=10, failures={"reset": 1}), "1 of 10 requests failed (reset 1)"),
        (traffic({"twin": 10}), "10 of 10 requests reached workloads that must get none (twin 10)"),
        (
            traffic({"server": 10}, statuses={"500": 10}),
            "was answered otherwise than with 200: status 500 10",
        ),
    ],
    ids=["none", "some", "elsewhere", "another status"],
)
def test_a_grant_that_does_not_open_fails(seen: object, said: str) -> None:
    found = judge.access_enforced(AccessTable([cell("GET /allowed", "granted", seen)]))  # type: ignore[arg-type]
    assert found.verdict is Verdict.FAIL
    assert said in found.summary


def test_a_grant_that_came_too_late_fails() -> None:
    found = judge.access_enforced(AccessTable([replace(GRANTED, convergence=NOT_CONVERGED), DENIED]))
    assert found.verdict is Verdict.FAIL
    assert found.summary == (
        "1 of 2 calls not as expected: 'GET /allowed' is granted, but was not served within 60 s, only later"
    )


@pytest.mark.parametrize(
    ("baseline", "now", "convergence", "said"),
    [
        (FORBIDDEN, FORBIDDEN, NOT_CONVERGED, "but was not served within 60 s: status 403 before and after"),
        (silence(), silence(), NOT_CONVERGED, "but was not served within 60 s: reset before and after"),
        (
            silence(),
            FORBIDDEN,
            NOT_CONVERGED,
            "but was not served within 60 s: 10 of 10 requests failed (answered by no sample workload 10; "
            "status 403 10)",
        ),
        (
            silence(),
            silence(),
            CONVERGED,
            "and was served within 1.25 s, but then 10 of 10 requests failed (reset 10)",
        ),
        (
            None,
            silence(),
            NOT_CONVERGED,
            "but was not served within 60 s: 10 of 10 requests failed (reset 10)",
        ),
    ],
    ids=["403 as before", "reset as before", "another refusal", "open for a while", "no null control"],
)
def test_a_failing_grant_is_reported_with_the_outcome_before_it(
    baseline: Traffic | None, now: Traffic, convergence: Convergence, said: str
) -> None:
    found = judge.access_enforced(
        AccessTable([cell("alpha", "granted", now, baseline=baseline, convergence=convergence)])
    )
    assert found.verdict is Verdict.FAIL
    assert found.summary.endswith(f"'alpha' is granted{'' if said[0] == 'a' else ','} {said}")


class TestACellThatNeverConverges:
    shut = cell("shut", "granted", silence(), convergence=NOT_CONVERGED)
    late = cell("late", "denied", silence(), convergence=NOT_CONVERGED)

    def test_says_nothing_of_granted_ones(self) -> None:
        served = [replace(GRANTED, name=f"served {number}") for number in range(6)]
        found = judge.access_enforced(AccessTable([*served, self.shut]))
        assert found.verdict is Verdict.FAIL
        assert found.summary == (
            "1 of 7 calls not as expected: 'shut' is granted, but was not served within 60 s: "
            "reset before and after"
        )

    def test_says_nothing_of_denied_ones(self) -> None:
        found = judge.access_enforced(AccessTable([GRANTED, DENIED, self.late]))
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == (
            "1 of 3 calls not as expected: 'late' is denied, but was not refused within 60 s, only later"
        )

    def test_is_not_excused_by_those_that_do(self) -> None:
        assert (
            judge.access_enforced(AccessTable([GRANTED, replace(GRANTED, convergence=NOT_CONVERGED)])).verdict
            is Verdict.FAIL
        )


def test_a_grant_whose_name_does_not_resolve_is_inconclusive() -> None:
    nameless = traffic({"server": 8}, sent=10, failures={"dns": 2})
    found = judge.access_enforced(
        AccessTable([cell("alpha", "granted", nameless, convergence=NOT_CONVERGED)])
    )
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary.endswith(
        "'alpha' is granted, but 2 of 10 requests never left the client: "
        "the name root did not resolve (environment or profile: hosts.service, cluster_domain)"
    )


@pytest.mark.parametrize(
    "seen",
    [
        traffic({"server": 7}, sent=10, failures={"dns": 2, "reset": 1}),
        traffic({"twin": 1}, sent=10, failures={"dns": 9}),
        traffic({}, sent=10, failures={"dns": 9}, statuses={"403": 1}),
    ],
    ids=["reset", "elsewhere", "refused"],
)
def test_a_grant_that_fails_otherwise_too_fails(seen: Traffic) -> None:
    assert judge.access_enforced(AccessTable([cell("alpha", "granted", seen)])).verdict is Verdict.FAIL


def test_a_grant_that_was_open_before_is_inconclusive() -> None:
    found = judge.access_enforced(AccessTable([replace(GRANTED, baseline=OPEN)]))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        "1 of 1 call not as expected: 'GET /allowed' indistinguishable from no mesh: "
        "10 of 10 requests went through without the grant"
    )


@pytest.mark.parametrize(
    "baseline",
    [
        traffic({"server": 1}, sent=10, received={}),
        traffic({}, sent=10, failures={"timeout": 10}, received={"server": 1}),
    ],
    ids=["answered only", "reached only"],
)
def test_a_grant_that_let_anything_through_before_is_inconclusive(baseline: Traffic) -> None:
    found = judge.access_enforced(AccessTable([replace(GRANTED, baseline=baseline)]))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "1 of 10 requests went through without the grant" in found.summary


@pytest.mark.parametrize("baseline", [None, traffic({})], ids=["none", "empty"])
def test_a_grant_without_null_control_is_inconclusive(baseline: object) -> None:
    found = judge.access_enforced(AccessTable([replace(GRANTED, baseline=baseline)]))  # type: ignore[arg-type]
    assert found.verdict is Verdict.INCONCLUSIVE


def test_a_grant_whose_ledger_misses_requests_is_inconclusive() -> None:
    lost = traffic({"server": 10}, received={"server": 4})
    assert judge.access_enforced(AccessTable([cell("x", "granted", lost)])).verdict is Verdict.INCONCLUSIVE


def test_a_denial_alone_is_inconclusive() -> None:
    found = judge.access_enforced(AccessTable([DENIED]))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        "1 of 1 call not as expected: 'GET /other' denial (reset 10) without positive control: "
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
def test_a_grant_of_another_client_or_server_is_no_control(control: AccessResult) -> None:
    assert judge.access_enforced(AccessTable([control, DENIED])).verdict is Verdict.INCONCLUSIVE


def test_a_twin_that_is_reached_is_a_control() -> None:
    assert judge.access_enforced(AccessTable([replace(DENIED, control=traffic({"twin": 10}))])).passed


def test_a_client_is_not_its_own_twin() -> None:
    denied = cell("by pod address", "denied", silence(client="outside/outsider"))
    itself, another = (
        replace(denied, control=traffic({name: 10}, client="outside/outsider"))
        for name in ("outsider", "stranger")
    )
    assert judge.access_enforced(AccessTable([itself])).verdict is Verdict.INCONCLUSIVE
    assert judge.access_enforced(AccessTable([another])).passed


@pytest.mark.parametrize(
    "twin",
    [
        silence(),
        traffic({}),
        traffic({"twin": 10}, client="client-b"),
        traffic({"twin": 10}, received={}),
        traffic({"twin": 10}, statuses={"503": 10}),
    ],
    ids=["silent", "not tried", "another client", "without ledger", "another status"],
)
def test_a_twin_that_is_not_reached_is_no_control(twin: object) -> None:
    found = judge.access_enforced(AccessTable([replace(DENIED, control=twin)]))  # type: ignore[arg-type]
    assert found.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("lost", "reset"), [(10, 0), (1, 9)], ids=["all", "one"])
def test_a_denial_whose_name_did_not_resolve_is_inconclusive(lost: int, reset: int) -> None:
    nameless = traffic({}, failures={"dns": lost, "reset": reset}, sent=10)
    denied = cell("GET /other", "denied", nameless, control=traffic({"twin": 10}))
    found = judge.access_enforced(AccessTable([denied]))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        f"1 of 1 call not as expected: 'GET /other' is denied, but "
        f"{lost} of 10 requests never left the client: the name root did not resolve "
        "(environment or profile: hosts.service, cluster_domain)"
    )


def test_what_leaked_fails_even_where_a_name_did_not_always_resolve() -> None:
    leaky = traffic({"server": 1}, sent=10, failures={"dns": 9})
    found = judge.access_enforced(AccessTable([GRANTED, cell("GET /other", "denied", leaky)]))
    assert found.verdict is Verdict.FAIL


def test_a_grant_whose_name_did_not_resolve_before_is_inconclusive() -> None:
    baseline = traffic({}, sent=3, failures={"dns": 1, "reset": 2})
    found = judge.access_enforced(AccessTable([replace(GRANTED, baseline=baseline)]))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        "1 of 1 call not as expected: 'GET /allowed' has no null control: without the grant "
        "1 of 3 requests never left the client: the name root did not resolve "
        "(environment or profile: hosts.service, cluster_domain)"
    )


def test_a_denial_before_convergence_is_inconclusive() -> None:
    found = judge.access_enforced(
        AccessTable([replace(DENIED, control=traffic({"twin": 10}), convergence=NOT_CONVERGED)])
    )
    assert found.verdict is Verdict.INCONCLUSIVE


def test_calls_that_were_never_made_are_inconclusive() -> None:
    assert judge.access_enforced(AccessTable([])).verdict is Verdict.INCONCLUSIVE
    assert (
        judge.access_enforced(AccessTable([replace(GRANTED, traffic=traffic({}))])).verdict
        is Verdict.INCONCLUSIVE
    )
    assert judge.access_enforced(AccessTable([GRANTED, replace(DENIED, traffic=traffic({}))])).verdict is (
        Verdict.INCONCLUSIVE
    )


def test_raw_connections_have_no_status() -> None:
    tcp = traffic({"server": 10}, statuses={})
    assert judge.access_enforced(AccessTable([cell("tcp", "granted", tcp), DENIED])).passed

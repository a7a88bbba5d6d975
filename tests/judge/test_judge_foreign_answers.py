"""Unresolved names, clients without access, foreign answers: no failure of the mesh."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from judge_evidence import CONVERGED, NOT_CONVERGED, cell, silence, traffic

from conformance import judge
from conformance.judge import foreign_answers, traffic_checks
from conformance.judge.statistics import sample_size
from conformance.model.evidence import AccessTable, Behaviour, Call, Effect, Traffic, TrialResult
from conformance.model.verdict import Judgement, Verdict

WEIGHTS = {"v1": 70, "v2": 30}
ALL_THREE = traffic({"v1": 20, "v2": 20, "v3": 20})
DENIAL = "HTTP/1.1 403 Forbidden server: envoy RBAC: access denied"
PASSED = Judgement(Verdict.PASS, "in force")


def nameless(sent: int) -> Traffic:
    said = {"resolver: Name or service not known": sent}
    return traffic({}, sent=sent, failures={"dns": sent}, foreign=said)


def denied(sent: int, status: int = 403, said: str = DENIAL) -> Traffic:
    return traffic({}, sent=sent, statuses={str(status): sent}, foreign={said: sent})


Claim = Callable[[Traffic, Traffic], Judgement]
EFFECTS: Mapping[str, Claim] = {
    "shares": lambda baseline, sample: judge.weights_followed(
        Effect(baseline, sample, NOT_CONVERGED), WEIGHTS
    ),
    "nothing reaches": lambda baseline, sample: judge.nothing_reaches(
        Effect(baseline, sample, NOT_CONVERGED), "v2"
    ),
    "everything reaches": lambda baseline, sample: judge.everything_reaches(
        Effect(baseline, sample, NOT_CONVERGED), "v1"
    ),
    "restored": lambda baseline, sample: judge.root_routing_restored(
        Effect(baseline, sample, NOT_CONVERGED), ["v1", "v2"]
    ),
    "lands on": lambda baseline, sample: judge.reaches_target_ports(
        Effect(baseline, sample, NOT_CONVERGED), {"v1": 8080, "v2": 8081}
    ),
}
OTHERS: Mapping[str, Claim] = {
    "opened": lambda _, sample: judge.root_served_by_backends(
        Effect(silence(60), sample, NOT_CONVERGED), WEIGHTS
    ),
    "preserved": lambda _, sample: judge.preserved(PASSED, sample, "v1"),
    "stepped": lambda _, sample: judge.within_either_step(PASSED, sample, WEIGHTS, WEIGHTS, CONVERGED),
    "unharmed": lambda _, sample: judge.no_request_failed(sample),
    "access": lambda _, sample: judge.access_enforced(
        AccessTable([cell("alpha", "granted", sample, convergence=NOT_CONVERGED)])
    ),
}
effects = pytest.mark.parametrize("claim", EFFECTS.values(), ids=EFFECTS.keys())


@pytest.mark.parametrize("claim", [*EFFECTS.values(), *OTHERS.values()], ids=[*EFFECTS, *OTHERS])
def test_a_name_that_does_not_resolve_fails_no_claim(claim: Claim) -> None:
    found = claim(ALL_THREE, nameless(500))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (
        "500 of 500 requests never left the client: the name root did not resolve "
        "('Name or service not known'; environment or profile: hosts.service, cluster_domain)"
    ) in found.summary


@effects
def test_a_name_that_did_not_resolve_before_leaves_no_null_control(claim: Claim) -> None:
    for sample in (denied(500), nameless(500)):
        found = claim(nameless(60), sample)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "the name root did not resolve" in found.summary


def test_an_open_root_whose_name_did_not_resolve_before_was_not_dead() -> None:
    sample = traffic({"v1": 3710, "v2": 1590})
    found = judge.root_served_by_backends(Effect(nameless(60), sample, CONVERGED), WEIGHTS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary.startswith(
        "there is no null control: before the change 60 of 60 requests never left"
    )


def test_unresolved_requests_are_distinguished_from_failed_ones() -> None:
    some = traffic({"v1": 450}, failures={"dns": 50})
    assert judge.everything_reaches(Effect(ALL_THREE, some, CONVERGED), "v1").summary.startswith(
        "50 of 500 requests never left the client"
    )
    worse = traffic({"v1": 440}, failures={"dns": 50, "reset": 10})
    found = judge.everything_reaches(Effect(ALL_THREE, worse, CONVERGED), "v1")
    assert found.verdict is Verdict.FAIL
    assert found.summary == "60 of 500 requests failed (dns 50, reset 10)"


@effects
@pytest.mark.parametrize("sample", [denied(500), silence(500)], ids=["alike", "otherwise"])
def test_a_client_without_answers_before_the_change_is_inconclusive(claim: Claim, sample: Traffic) -> None:
    found = claim(denied(60, 404, "HTTP/1.1 404 Not Found"), sample)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary.startswith(
        "no request was answered before the change either: 60 of 60 requests failed "
        "(answered by no sample workload 60; status 404 60; what came instead: 'HTTP/1.1 404 Not Found')"
    )
    assert found.summary.endswith("its effect cannot be judged")
    assert found.hint == "find what answered in the workloads' place, and its routes for this host and path"


@effects
@pytest.mark.parametrize("sample", [denied(500), silence(500)], ids=["denied", "reset"])
def test_a_client_that_was_answered_before_is_cut_off_by_the_change(claim: Claim, sample: Traffic) -> None:
    assert claim(ALL_THREE, sample).verdict is Verdict.FAIL


def test_stray_requests_fail_even_without_answers_before_the_change() -> None:
    astray = traffic({"v3": 10}, failures={"reset": 490})
    for name in ("shares", "everything reaches", "restored", "lands on"):
        assert EFFECTS[name](denied(60), astray).verdict is Verdict.FAIL, name
    leaked = traffic({"v2": 10}, failures={"reset": 490})
    assert EFFECTS["nothing reaches"](denied(60), leaked).verdict is Verdict.FAIL


def test_a_mesh_that_opens_nothing_fails() -> None:
    assert (
        judge.root_served_by_backends(Effect(denied(60), denied(5300), NOT_CONVERGED), WEIGHTS).verdict
        is Verdict.FAIL
    )


def test_a_grant_that_stays_without_effect_fails_and_quotes_the_denial() -> None:
    found = judge.access_enforced(
        AccessTable([cell("alpha", "granted", denied(10), convergence=NOT_CONVERGED)])
    )
    assert found.verdict is Verdict.FAIL
    assert f"what came instead: '{DENIAL}'" in found.summary


def test_a_reading_is_not_seen_where_the_name_does_not_resolve() -> None:
    looks = (Behaviour("a", ("v1",)), Behaviour("b"))
    asked = TrialResult("form", "forms", looks, traffic({"v1": 60}), nameless(60))
    (found,) = judge.reading(PASSED, [asked], PASSED).readings
    assert found.letter == ""
    assert "the name root did not resolve" in found.seen


def test_a_service_that_is_not_there_has_no_name_and_may_be_what_a_trial_is_about() -> None:
    asked = TrialResult(
        "missing", "a root that does not exist", (Behaviour("a"),), nameless(60), nameless(60)
    )
    (found,) = judge.reading(PASSED, [asked], PASSED).readings
    assert found.letter == "a"


@pytest.mark.parametrize(
    ("protocol", "said", "told"),
    [
        ("http", DENIAL, f"'{DENIAL}'"),
        ("http", "HTTP/1.1 302 Found location: /login", "a redirect 'HTTP/1.1 302 Found location: /login'"),
        ("http", "HTTP/1.1 200 OK <!DOCTYPE html>", "an HTML page 'HTTP/1.1 200 OK <!DOCTYPE html>'"),
        ("tcp", "HTTP/1.1 400 Bad Request", "HTTP in answer to raw TCP 'HTTP/1.1 400 Bad Request'"),
        ("udp", "HTTP/1.1 400 Bad Request", "HTTP in answer to UDP 'HTTP/1.1 400 Bad Request'"),
        ("grpc", "HTTP/1.1 400 Bad Request", "HTTP/1 in answer to HTTP/2 'HTTP/1.1 400 Bad Request'"),
        ("http2", "HTTP/2 404", "'HTTP/2 404'"),
        ("http", "kernel: No route to host", "'kernel: No route to host'"),
    ],
)
def test_foreign_answers_are_quoted_with_their_kind(protocol: str, said: str, told: str) -> None:
    call = Call("client-a", "root", 8080, 10, protocol)
    lost = traffic({}, sent=10, failures={"protocol": 10}, call=call, foreign={said: 10})
    assert traffic_checks.failed(lost) == f"10 of 10 requests failed (protocol 10; what came instead: {told})"


def test_foreign_answers_are_cut() -> None:
    assert len(foreign_answers.quote_foreign(denied(1, said="x" * 10_000))) < 200


@pytest.mark.parametrize(
    ("lost", "where"),
    [
        (denied(10), "the component that refuses these calls"),
        (denied(10, 302), "the component that redirects"),
        (denied(10, 503), "whose ledger lacks these requests"),
        (silence(10), "the component that reset these connections"),
        (traffic({"v1": 5}, failures={"timeout": 5}), "no answer came in time"),
        (traffic({}, sent=10, failures={"protocol": 10}), "check the protocol"),
    ],
)
def test_the_hint_follows_what_was_seen(lost: Traffic, where: str) -> None:
    for claim in ("shares", "nothing reaches", "everything reaches", "restored"):
        found = EFFECTS[claim](ALL_THREE, lost)
        assert where in found.hint
        assert "weight" not in found.hint


def test_an_error_of_a_workload_is_no_foreign_answer() -> None:
    assert foreign_answers.where_to_look(traffic({"v1": 10}, statuses={"500": 10})) == ""


def test_the_sample_sizes_here_are_large_enough_to_judge_by() -> None:
    assert sample_size(WEIGHTS) <= 5300

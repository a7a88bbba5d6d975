"""Shares: pass, fail, inconclusive, and their messages."""

from __future__ import annotations

from typing import Any

import pytest
from judge_evidence import CONVERGED, NOT_CONVERGED, silence, traffic

from conformance import judge
from conformance.judge.traffic_checks import disagreement
from conformance.model.evidence import Effect, Traffic
from conformance.model.verdict import Judgement, Share, Verdict

WEIGHTS = {"v1": 70, "v2": 30}
BEFORE = traffic({"v1": 250, "v2": 250, "v3": 250})
GOOD = {"v1": 3710, "v2": 1590}


def judged(sample: Traffic, baseline: Traffic = BEFORE, weights: dict[str, int] = WEIGHTS) -> Judgement:
    return judge.weights_followed(Effect(baseline, sample, CONVERGED), weights)


def test_shares_inside_their_regions_pass_with_figures() -> None:
    found = judged(traffic(GOOD))
    assert found.verdict is Verdict.PASS
    assert found.summary == "5,300 requests: v1 70 % of 70 %, v2 30 % of 30 %"
    assert found.expected == (
        "v1 70 % (3,568 to 3,850), v2 30 % (1,450 to 1,732); "
        "a mesh that draws at random by weight fails with probability 0.0001 at most"
    )
    assert found.hint == ""
    assert found.shares == (
        Share("v1", 0.7, 0.7, 3568 / 5300, 3850 / 5300),
        Share("v2", 0.3, 0.3, 1450 / 5300, 1732 / 5300),
    )


def test_a_share_outside_its_region_fails_with_the_region() -> None:
    found = judged(traffic({"v1": 3286, "v2": 2014}))
    assert found.verdict is Verdict.FAIL
    assert found.summary == (
        "v1 got 3,286 of 5,300 requests (62 %) where 3,568 to 3,850 are accepted for 70 %; "
        "v2 got 2,014 of 5,300 requests (38 %) where 1,450 to 1,732 are accepted for 30 %"
    )
    assert found.shares[0].observed == 0.62


def test_the_edges_of_a_region_are_inside() -> None:
    assert judged(traffic({"v1": 3850, "v2": 1450})).passed
    assert judged(traffic({"v1": 3851, "v2": 1449})).verdict is Verdict.FAIL


def test_an_unlisted_workload_fails_in_either_view() -> None:
    answered = judged(traffic({**GOOD, "v3": 1}))
    assert answered.verdict is Verdict.FAIL
    assert answered.summary == "1 of 5,301 requests reached workloads that must get none (v3 1)"
    mirrored = judged(traffic(GOOD, received={**GOOD, "v3": 12}))
    assert mirrored.verdict is Verdict.FAIL
    assert "v3 12" in mirrored.summary


def test_a_failed_request_fails() -> None:
    found = judged(traffic(GOOD, sent=5303, failures={"reset": 2, "timeout": 1}))
    assert found.verdict is Verdict.FAIL
    assert found.summary == "3 of 5,303 requests failed (reset 2, timeout 1)"


def test_an_answer_of_the_proxy_itself_is_a_failed_request() -> None:
    found = judged(traffic(GOOD, sent=5310, statuses={"200": 5300, "503": 10}))
    assert found.verdict is Verdict.FAIL
    assert found.summary == ("10 of 5,310 requests failed (answered by no sample workload 10; status 503 10)")


def test_a_change_that_does_not_converge_fails_with_its_description() -> None:
    found = judge.weights_followed(Effect(BEFORE, traffic(GOOD), NOT_CONVERGED), WEIGHTS)
    assert found.verdict is Verdict.FAIL
    assert found.summary == "not converged within 60 s: v2 is reached from every client"
    assert "takes longer than its profile allows" in found.hint


def test_views_that_disagree_are_inconclusive() -> None:
    found = judged(traffic(GOOD, received={"v1": 3710, "v2": 1580}))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        "client and ledgers disagree: v2 answered 1,590 of them, but its ledger holds 1,580"
    )


def test_requests_that_reach_two_listed_backends_are_inconclusive() -> None:
    found = judged(traffic(GOOD, received={"v1": 3710, "v2": 1680}))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "v2's ledger holds 1,680 of them, but 1,590 were answered by it" in found.summary


def test_shares_that_were_there_before_are_inconclusive() -> None:
    found = judged(traffic(GOOD), baseline=traffic({"v1": 698, "v2": 302}))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        "indistinguishable from no mesh: these shares were there before the change as well (v1 698, v2 302)"
    )


def test_a_failed_request_before_does_not_hide_that_the_shares_were_there() -> None:
    baseline = traffic({"v1": 698, "v2": 302}, failures={"reset": 1})
    assert judged(traffic(GOOD), baseline).verdict is Verdict.INCONCLUSIVE


def test_a_violation_stays_one_when_the_null_control_is_broken() -> None:
    assert judged(traffic({"v1": 2350, "v2": 2350}), baseline=traffic({})).verdict is Verdict.FAIL


@pytest.mark.parametrize("baseline", [traffic({}), silence()], ids=["nothing sent", "nothing answered"])
def test_a_missing_null_control_is_inconclusive(baseline: Traffic) -> None:
    assert judged(traffic(GOOD), baseline).verdict is Verdict.INCONCLUSIVE


def test_an_empty_sample_is_inconclusive() -> None:
    found = judged(traffic({}))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == "nothing was sent: client-a → root:8080 GET /"
    assert found.shares == ()


def test_a_sample_too_small_for_its_promise_is_inconclusive() -> None:
    found = judged(traffic({"v1": 70, "v2": 30}))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == "100 requests cannot show an error of 5 points: that takes 5,300"
    assert found.expected.startswith("v1 70 % (")


def test_a_weight_of_zero_gets_nothing_and_the_leak_is_bounded() -> None:
    weights = {"v1": 100, "v2": 0}
    found = judged(traffic({"v1": 1000}), weights=weights)
    assert found.passed
    assert found.summary == (
        "1,000 requests: v1 100 % of 100 %, v2 0 % of 0 %; nothing for v2 (a leak above 0.69 % is excluded)"
    )
    assert judged(traffic({"v1": 999, "v2": 1}), weights=weights).verdict is Verdict.FAIL


def test_connections_that_stay_with_a_backend_are_too_few_draws() -> None:
    stuck = traffic({"v1": 3000, "v2": 2300}, new_connections=False, connections=32, uniform_connections=32)
    found = judged(stuck)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == (
        "each of 32 connections stayed with one backend: "
        "too few draws to judge shares by (v1 3,000, v2 2,300)"
    )


def test_connections_that_mix_backends_are_judged_by_requests() -> None:
    mixed = traffic(GOOD, new_connections=False, connections=32, uniform_connections=1)
    assert judged(mixed).passed


def test_all_connections_at_one_backend_fail_when_chance_cannot_explain_it() -> None:
    many = traffic({"v1": 5300}, new_connections=False, connections=32, uniform_connections=32)
    assert judged(many).verdict is Verdict.FAIL
    few = traffic({"v1": 5300}, new_connections=False, connections=4, uniform_connections=4)
    assert judged(few).verdict is Verdict.INCONCLUSIVE


def test_a_single_backend_on_kept_connections_passes() -> None:
    kept = traffic({"v1": 500}, new_connections=False, connections=32, uniform_connections=32)
    assert judged(kept, weights={"v1": 1}).passed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"failures": {"reset": 1}}, "the client reports 1 more outcomes than the 10 requests sent"),
        ({"received": {"v1": 9}}, "v1 answered 10 of them, but its ledger holds 9"),
        ({"received": {"v1": 11}}, "v1's ledger holds 11 of them, but 10 were answered by it"),
        ({"sent": 12, "received": {"v1": 12}}, ""),
        ({"sent": 12, "received": {"v1": 12, "v2": 0}}, ""),
        (
            {"sent": 12, "received": {"v1": 13}},
            "v1's ledger holds 13 of them, but 10 were answered by it",
        ),
        (
            {"sent": 12, "failures": {"reset": 2}, "received": {"v1": 12, "v2": 1}},
            "the ledgers hold 13 requests, 12 were sent",
        ),
        ({"sent": 12, "failures": {"reset": 2}, "received": {"v1": 11, "v2": 1}}, ""),
    ],
)
def test_the_views_disagree_where_failures_do_not_explain_it(changes: dict[str, Any], said: str) -> None:
    assert disagreement(traffic({"v1": 10}, **{"sent": 10, **changes})) == said


def test_a_null_control_that_reached_servers_without_an_answer_is_one() -> None:
    baseline = traffic({}, sent=20, failures={"timeout": 20}, received={"v3": 20})
    assert judged(traffic(GOOD), baseline).passed


def test_more_outcomes_than_requests_are_inconclusive() -> None:
    found = judged(traffic(GOOD, sent=5200))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "100 more outcomes than the 5,200 requests sent" in found.summary


def test_weights_without_a_sum_are_an_error() -> None:
    with pytest.raises(ValueError, match="no shares follow"):
        judged(traffic(GOOD), weights={"v1": 0, "v2": 0})


MANY = {"three": ("v2", "v3", "v4")}


def test_the_workloads_behind_a_backend_count_as_one() -> None:
    baseline = traffic({"v1": 25, "v2": 25, "v3": 25, "v4": 25})
    halves = traffic({"v1": 3050, "v2": 1000, "v3": 1100, "v4": 950})
    found = judge.weights_followed(Effect(baseline, halves, CONVERGED), {"v1": 50, "three": 50}, MANY)
    assert found.passed
    assert found.summary == "6,100 requests: v1 50 % of 50 %, three 50 % of 50 %"
    flattened = traffic({"v1": 1525, "v2": 1525, "v3": 1525, "v4": 1525})
    assert (
        judge.weights_followed(Effect(baseline, flattened, CONVERGED), {"v1": 50, "three": 50}, MANY).verdict
        is Verdict.FAIL
    )
    assert (
        judge.weights_followed(Effect(baseline, halves, CONVERGED), {"v1": 50, "three": 50}).verdict
        is Verdict.FAIL
    )


def test_an_answer_at_another_port_of_the_right_backend_fails() -> None:
    ports = {"v1": 8081, "v2": 8081}
    at_8081 = traffic(GOOD, ports={"v1:8081": 3710, "v2:8081": 1590})
    assert judge.weights_followed(Effect(BEFORE, at_8081, CONVERGED), WEIGHTS, None, ports).passed
    mixed = traffic(GOOD, ports={"v1:8081": 3710, "v2:8081": 1580, "v2:8080": 10})
    found = judge.weights_followed(Effect(BEFORE, mixed, CONVERGED), WEIGHTS, None, ports)
    assert found.verdict is Verdict.FAIL
    assert found.summary == "answered at other ports: v2:8080 10"


def test_a_root_that_leads_nowhere_is_opened_by_its_split() -> None:
    assert judge.root_served_by_backends(Effect(silence(), traffic(GOOD), CONVERGED), WEIGHTS).passed
    assert (
        judge.root_served_by_backends(Effect(silence(), silence(5300), NOT_CONVERGED), WEIGHTS).verdict
        is Verdict.FAIL
    )
    assert (
        judge.root_served_by_backends(Effect(silence(), traffic({"v1": 5300}), CONVERGED), WEIGHTS).verdict
        is Verdict.FAIL
    )


def test_a_root_that_was_served_before_or_not_tried_is_not_opened() -> None:
    for baseline in (BEFORE, traffic({}, sent=60, failures={"reset": 60}, received={"v1": 1}), traffic({})):
        assert (
            judge.root_served_by_backends(Effect(baseline, traffic(GOOD), CONVERGED), WEIGHTS).verdict
            is Verdict.INCONCLUSIVE
        )

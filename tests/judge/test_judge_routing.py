"""Routing judges: pass, fail, inconclusive, and their messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
from judge_evidence import CONVERGED, NOT_CONVERGED, silence, traffic

from conformance import judge
from conformance.model.evidence import Effect, Traffic
from conformance.model.verdict import Judgement, Verdict

ALL_THREE = traffic({"v1": 100, "v2": 100, "v3": 100})
ONLY_V1 = traffic({"v1": 300})
ONLY_V2 = traffic({"v2": 300})


class TestNothingReaches:
    def test_a_silent_backend_passes_with_the_bound_on_its_leak(self) -> None:
        found = judge.nothing_reaches(Effect(ALL_THREE, traffic({"v1": 1000}), CONVERGED), "v2")
        assert found.verdict is Verdict.PASS
        assert found.summary == "none of 1,000 requests reached v2 (a leak above 0.69 % is excluded)"

    def test_a_request_in_its_ledger_fails_although_no_client_saw_an_answer(self) -> None:
        sample = traffic({"v1": 999}, sent=1000, failures={"reset": 1}, received={"v1": 999, "v2": 1})
        found = judge.nothing_reaches(Effect(ALL_THREE, sample, NOT_CONVERGED), "v2")
        assert found.verdict is Verdict.FAIL
        assert found.summary == (
            "1 of 1,000 requests reached workloads that must get none (v2 1); "
            "not converged within 60 s: v2 is reached from every client; "
            "1 of 1,000 requests failed (reset 1)"
        )

    def test_failed_requests_fail(self) -> None:
        assert judge.nothing_reaches(Effect(ALL_THREE, silence(200), CONVERGED), "v2").verdict is Verdict.FAIL

    def test_a_backend_that_was_never_reached_is_inconclusive(self) -> None:
        found = judge.nothing_reaches(Effect(ONLY_V1, ONLY_V1, CONVERGED), "v2")
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == (
            "indistinguishable from no mesh: nothing reached v2 before the change as well (v1 300)"
        )

    def test_a_backend_whose_ledger_was_not_read_is_inconclusive(self) -> None:
        baseline = traffic({"v1": 100, "v2": 100}, received={"v1": 100})
        found = judge.nothing_reaches(Effect(baseline, traffic({"v1": 300}), CONVERGED), "v2")
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == (
            "v2 answered before the change, but its ledger was not read or lost requests"
        )

    def test_too_few_requests_are_inconclusive(self) -> None:
        found = judge.nothing_reaches(Effect(ALL_THREE, traffic({"v1": 134}), CONVERGED), "v2")
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == "134 requests cannot show a leak of 5 points: that takes 135"

    def test_a_lost_ledger_is_inconclusive(self) -> None:
        found = judge.nothing_reaches(Effect(ALL_THREE, traffic({"v1": 300}, received={}), CONVERGED), "v2")
        assert found.verdict is Verdict.INCONCLUSIVE


class TestEverythingReaches:
    def test_one_server_that_answers_all_passes(self) -> None:
        found = judge.everything_reaches(Effect(ALL_THREE, ONLY_V2, CONVERGED), "v2")
        assert found.verdict is Verdict.PASS
        assert found.summary == "v2 answered all of 300 requests (a leak above 2.28 % is excluded)"

    def test_the_port_is_part_of_the_claim(self) -> None:
        assert judge.everything_reaches(Effect(ALL_THREE, ONLY_V2, CONVERGED), "v2", port=8080).passed
        found = judge.everything_reaches(Effect(ALL_THREE, ONLY_V2, CONVERGED), "v2", port=9090)
        assert found.verdict is Verdict.FAIL
        assert found.summary == "answered at another port than 9090: v2:8080 300"
        one_off = traffic({"v2": 300}, ports={"v2:8080": 299, "v2:8081": 1})
        found = judge.everything_reaches(Effect(ALL_THREE, one_off, CONVERGED), "v2", port=8080)
        assert found.summary == "answered at another port than 8080: v2:8081 1"
        one_less = traffic({"v2": 300}, ports={"v2:8080": 299})
        assert not judge.everything_reaches(Effect(ALL_THREE, one_less, CONVERGED), "v2", port=8080).passed
        one_more = traffic({"v2": 300}, ports={"v2:8080": 300, "v2:8081": 1})
        assert not judge.everything_reaches(Effect(ALL_THREE, one_more, CONVERGED), "v2", port=8080).passed

    def test_the_same_server_at_another_port_before_is_a_null_control(self) -> None:
        moved = traffic({"v2": 300}, ports={"v2:8081": 300})
        assert judge.everything_reaches(Effect(ONLY_V2, moved, CONVERGED), "v2", port=8081).passed
        assert not judge.everything_reaches(Effect(moved, moved, CONVERGED), "v2", port=8081).passed

    def test_answers_without_a_port_do_not_pass_a_claim_about_one(self) -> None:
        unknown = traffic({"v2": 300}, ports={})
        assert (
            judge.everything_reaches(Effect(ALL_THREE, unknown, CONVERGED), "v2", port=8080).verdict
            is Verdict.FAIL
        )

    def test_another_server_fails(self) -> None:
        found = judge.everything_reaches(Effect(ALL_THREE, traffic({"v2": 299, "v1": 1}), CONVERGED), "v2")
        assert found.verdict is Verdict.FAIL
        assert found.summary == "1 of 300 requests reached workloads that must get none (v1 1)"

    def test_a_change_that_does_not_converge_fails(self) -> None:
        found = judge.everything_reaches(Effect(ALL_THREE, ONLY_V2, NOT_CONVERGED), "v2")
        assert found.verdict is Verdict.FAIL
        assert found.hint == "the mesh takes longer than its profile allows (converge.within_s)"
        found = judge.everything_reaches(Effect(ALL_THREE, ALL_THREE, NOT_CONVERGED), "v2")
        assert found.hint == "the mesh did not apply the change, or takes longer than its profile allows"

    def test_what_held_before_is_inconclusive(self) -> None:
        found = judge.everything_reaches(Effect(ONLY_V2, ONLY_V2, CONVERGED), "v2")
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == (
            "indistinguishable from no mesh: everything reached v2 before the change as well (v2 300)"
        )
        found = judge.everything_reaches(Effect(ONLY_V2, ONLY_V2, CONVERGED), "v2", port=8080)
        assert "everything reached v2:8080 before" in found.summary

    def test_a_null_control_that_was_not_answered_is_inconclusive(self) -> None:
        found = judge.everything_reaches(Effect(silence(20), ONLY_V2, CONVERGED), "v2")
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == (
            "before the change 20 of 20 requests failed (reset 20): "
            "the baseline shows no traffic to compare with"
        )


class TestLandsOn:
    ports: ClassVar = {"v1": 8080, "v2": 8081}
    baseline = traffic({"v1": 150, "v2": 150})
    sample = traffic({"v1": 100, "v2": 200}, ports={"v1:8080": 100, "v2:8081": 200})

    def test_backends_at_their_own_ports_pass(self) -> None:
        found = judge.reaches_target_ports(Effect(self.baseline, self.sample, CONVERGED), self.ports)
        assert found.verdict is Verdict.PASS
        assert found.summary == "300 requests landed on v2:8081 200, v1:8080 100"

    def test_the_port_of_another_backend_fails(self) -> None:
        found = judge.reaches_target_ports(Effect(self.sample, self.baseline, CONVERGED), self.ports)
        assert found.verdict is Verdict.FAIL
        assert found.summary == "answered at other places: v2:8080 150; never answered: v2:8081"

    def test_ports_that_were_reached_before_are_inconclusive(self) -> None:
        found = judge.reaches_target_ports(Effect(self.sample, self.sample, CONVERGED), self.ports)
        assert found.verdict is Verdict.INCONCLUSIVE

    def test_a_change_that_does_not_converge_fails(self) -> None:
        assert (
            judge.reaches_target_ports(Effect(self.baseline, self.sample, NOT_CONVERGED), self.ports).verdict
            is Verdict.FAIL
        )

    def test_nothing_sent_does_not_pass(self) -> None:
        assert not judge.reaches_target_ports(
            Effect(self.baseline, traffic({}), CONVERGED), self.ports
        ).passed


class TestRestored:
    servers = ("v1", "v2", "v3")

    def test_servers_that_are_all_reached_again_pass(self) -> None:
        found = judge.root_routing_restored(Effect(ONLY_V2, ALL_THREE, CONVERGED), self.servers)
        assert found.verdict is Verdict.PASS
        assert found.summary == "all of v1, v2, v3 are reached again (v1 100, v2 100, v3 100)"

    def test_a_server_that_stays_away_fails(self) -> None:
        found = judge.root_routing_restored(
            Effect(ONLY_V2, traffic({"v1": 50, "v2": 50}), CONVERGED), self.servers
        )
        assert found.verdict is Verdict.FAIL
        assert found.summary == "not reached again: v3 (answers: v1 50, v2 50)"

    def test_a_server_missed_by_too_few_draws_is_inconclusive(self) -> None:
        found = judge.root_routing_restored(
            Effect(ONLY_V2, traffic({"v1": 5, "v2": 5}), CONVERGED), self.servers
        )
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == "10 requests may miss one of 3 servers by chance: that takes 26"
        enough = judge.root_routing_restored(
            Effect(ONLY_V2, traffic({"v1": 13, "v2": 13}), CONVERGED), self.servers
        )
        assert enough.verdict is Verdict.FAIL

    def test_connections_are_the_draws_where_they_stay_with_a_server(self) -> None:
        stuck = traffic({"v1": 50, "v2": 50}, new_connections=False, connections=4, uniform_connections=4)
        found = judge.root_routing_restored(Effect(ONLY_V2, stuck, CONVERGED), self.servers)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary.startswith("4 connections may miss one")

    @pytest.mark.parametrize(
        "after",
        [traffic({"v1": 9, "v2": 9, "v3": 9, "v4": 9}), traffic({"v1": 9, "v2": 9, "v3": 9}, sent=28)],
        ids=["a stranger answers", "a request fails"],
    )
    def test_a_violation_fails(self, after: Traffic) -> None:
        assert (
            judge.root_routing_restored(Effect(ONLY_V2, after, CONVERGED), self.servers).verdict
            is Verdict.FAIL
        )

    def test_a_change_that_does_not_converge_fails(self) -> None:
        assert (
            judge.root_routing_restored(Effect(ONLY_V2, ALL_THREE, NOT_CONVERGED), self.servers).verdict
            is Verdict.FAIL
        )

    def test_servers_that_were_all_reached_meanwhile_are_inconclusive(self) -> None:
        assert (
            judge.root_routing_restored(Effect(ALL_THREE, ALL_THREE, CONVERGED), self.servers).verdict
            is Verdict.INCONCLUSIVE
        )

    def test_nothing_sent_is_inconclusive(self) -> None:
        assert (
            judge.root_routing_restored(Effect(ONLY_V2, traffic({}), CONVERGED), self.servers).verdict
            is Verdict.INCONCLUSIVE
        )
        assert (
            judge.root_routing_restored(Effect(traffic({}), ALL_THREE, CONVERGED), self.servers).verdict
            is Verdict.INCONCLUSIVE
        )


class TestPreserved:
    effect = judge.everything_reaches(Effect(ALL_THREE, ONLY_V1, CONVERGED), "v1")
    no_effect = judge.everything_reaches(Effect(ONLY_V1, ONLY_V1, CONVERGED), "v1")

    def test_direct_calls_that_stay_direct_pass(self) -> None:
        found = judge.preserved(self.effect, ONLY_V2, "v2")
        assert found.verdict is Verdict.PASS
        assert found.summary == "v2 answered all of 300 requests sent to it"

    def test_several_batches_are_judged_together(self) -> None:
        assert judge.preserved(self.effect, [ONLY_V2, ONLY_V2], "v2").passed
        assert judge.preserved(self.effect, [ONLY_V2, ONLY_V1], "v2").verdict is Verdict.FAIL

    def test_a_direct_call_that_is_diverted_fails(self) -> None:
        found = judge.preserved(self.effect, traffic({"v2": 299, "v1": 1}), "v2")
        assert found.verdict is Verdict.FAIL
        assert found.summary == (
            "client-a → root:8080 GET /: 1 of 300 requests reached workloads that must get none (v1 1)"
        )

    @pytest.mark.parametrize("during", [ONLY_V2, ONLY_V1], ids=["kept", "violated"])
    def test_nothing_is_concluded_without_an_effect_in_force(self, during: Traffic) -> None:
        found = judge.preserved(self.no_effect, during, "v2")
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary.startswith("indistinguishable from no mesh: no effect was in force")

    @pytest.mark.parametrize("during", [[], [traffic({})], traffic({})], ids=["none", "empty", "nothing"])
    def test_nothing_sent_is_inconclusive(self, during: Traffic | list[Traffic]) -> None:
        assert judge.preserved(self.effect, during, "v2").verdict is Verdict.INCONCLUSIVE

    def test_a_violation_in_one_batch_outweighs_doubt_about_another(self) -> None:
        doubtful = traffic({"v2": 300}, received={"v2": 3})
        assert judge.preserved(self.effect, [doubtful, ONLY_V1], "v2").verdict is Verdict.FAIL
        assert judge.preserved(self.effect, [ONLY_V2, doubtful], "v2").verdict is Verdict.INCONCLUSIVE

    def test_a_violation_without_an_effect_is_reported_as_inconclusive(self) -> None:
        found = judge.preserved(self.no_effect, ONLY_V1, "v2")
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary.endswith(
            "besides, client-a → root:8080 GET /: 300 of 300 requests "
            "reached workloads that must get none (v1 300)"
        )

    def test_views_that_disagree_are_inconclusive(self) -> None:
        found = judge.preserved(self.effect, traffic({"v2": 300}, received={"v2": 3}), "v2")
        assert found.verdict is Verdict.INCONCLUSIVE

    def test_steady_traffic_that_was_over_too_soon_is_inconclusive(self) -> None:
        over = traffic({"v2": 300}, expired=True)
        assert judge.preserved(self.effect, [over, ONLY_V2], "v2").verdict is Verdict.INCONCLUSIVE
        assert judge.preserved(self.effect, [over, ONLY_V1], "v2").verdict is Verdict.FAIL


class TestUnharmed:
    def test_foreign_answers_and_failures_are_distinguished(self) -> None:
        found = judge.no_request_failed(
            traffic({"v1": 90}, sent=100, failures={"reset": 7}, statuses={"200": 90, "503": 3, "404": 0})
        )
        assert found.summary == (
            "10 of 100 requests failed (reset 7, answered by no sample workload 3; status 503 3)"
        )
        found = judge.no_request_failed(
            traffic({"v1": 93}, sent=100, failures={"reset": 7}, statuses={"200": 90, "500": 3})
        )
        assert found.summary == "7 of 100 requests failed (reset 7)"
        found = judge.no_request_failed(traffic({"v1": 99}, sent=100, statuses={"200": 100}))
        assert found.summary == "1 of 100 requests failed (answered by no sample workload 1)"

    def test_steady_traffic_without_failures_passes(self) -> None:
        assert judge.no_request_failed(ALL_THREE).summary == "none of 300 requests failed"
        assert judge.no_request_failed(traffic({"v1": 5}, received={})).passed

    def test_a_failure_fails(self) -> None:
        found = judge.no_request_failed(traffic({"v1": 299}, failures={"refused": 1}))
        assert found.verdict is Verdict.FAIL
        assert found.summary == "1 of 300 requests failed (refused 1)"

    def test_what_was_over_too_soon_is_inconclusive(self) -> None:
        assert judge.no_request_failed(traffic({"v1": 5}, expired=True)).verdict is Verdict.INCONCLUSIVE

    def test_nothing_sent_is_inconclusive(self) -> None:
        assert judge.no_request_failed(traffic({})).verdict is Verdict.INCONCLUSIVE

    def test_contradictory_evidence_is_inconclusive(self) -> None:
        assert judge.no_request_failed(traffic({"v1": 5}, sent=3)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "judged",
    [
        lambda baseline, sample: judge.nothing_reaches(Effect(baseline, sample, CONVERGED), "v2"),
        lambda baseline, sample: judge.everything_reaches(Effect(baseline, sample, CONVERGED), "v2"),
        lambda baseline, sample: judge.root_routing_restored(Effect(baseline, sample, CONVERGED), ["v1"]),
        lambda baseline, sample: judge.weights_followed(
            Effect(baseline, sample, CONVERGED), {"v1": 1, "v2": 1}
        ),
    ],
    ids=["nothing", "everything", "restored", "shares"],
)
@pytest.mark.parametrize("baseline", [traffic({}), silence(1), ONLY_V1, ALL_THREE])
def test_a_mesh_that_changes_nothing_never_passes(
    judged: Callable[[Traffic, Traffic], Judgement], baseline: Traffic
) -> None:
    assert not judged(baseline, baseline).passed

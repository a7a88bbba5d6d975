"""A change of weights is judged by the steady traffic over it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from judge_evidence import CONVERGED, silence, traffic

from conformance.judge import within_either_step
from conformance.model.evidence import Traffic
from conformance.model.verdict import Judgement, Verdict

SEEN = Judgement(Verdict.PASS, "the later weights hold")
OLD, QUARTER = {"v1": 100, "fresh": 0}, {"v1": 75, "fresh": 25}


def judged(during: Traffic, effect: Judgement = SEEN) -> Judgement:
    return within_either_step(effect, during, OLD, QUARTER, CONVERGED)


@pytest.mark.parametrize("fresh", [0, 60, 250], ids=["not yet", "half way", "at once"])
def test_a_share_between_the_two_steps_passes_with_the_time(fresh: int) -> None:
    found = judged(traffic({"v1": 1000 - fresh, "fresh": fresh}))
    assert found.passed
    assert found.summary.startswith("arrived after 1.25 s; none of 1,000 requests failed")


def test_kept_and_new_connections_are_judged_together_and_one_of_them_suffices_to_fail() -> None:
    kept, new = traffic({"v1": 900, "fresh": 100}), traffic({"v1": 800, "fresh": 200})
    found = within_either_step(SEEN, [kept, new], OLD, QUARTER, CONVERGED)
    assert found.passed
    assert "none of 2,000 requests failed meanwhile (v1 1,700, fresh 300)" in found.summary
    swung = traffic({"v1": 500, "fresh": 500})
    for pair in ([swung, new], [kept, swung]):
        assert within_either_step(SEEN, pair, OLD, QUARTER, CONVERGED).verdict is Verdict.FAIL
    ended = replace(kept, expired=True)
    assert within_either_step(SEEN, [new, ended], OLD, QUARTER, CONVERGED).verdict is Verdict.INCONCLUSIVE
    assert within_either_step(SEEN, [], OLD, QUARTER, CONVERGED).verdict is Verdict.INCONCLUSIVE


def test_a_share_beyond_both_steps_fails() -> None:
    found = judged(traffic({"v1": 500, "fresh": 500}))
    assert found.verdict is Verdict.FAIL
    assert "fresh got 500 of 1,000 requests where 0 to" in found.summary


def shares(*fresh: int) -> Traffic:
    """Steady traffic with this many of each sixty requests answered by the new version."""
    stretches = tuple({"v1": 60 - count, "fresh": count} for count in fresh)
    whole = {name: sum(one[name] for one in stretches) for name in ("v1", "fresh")}
    return replace(traffic(whole), windows=stretches)


def test_a_swing_of_a_moment_fails_however_long_the_traffic_was() -> None:
    steady = [0] * 20 + [15] * 200
    assert judged(shares(*steady)).passed
    found = judged(shares(*steady[:20], 45, *steady[20:]))
    assert found.verdict is Verdict.FAIL
    assert found.summary.startswith("for a moment fresh got 45 of 60 requests where 0 to ")


def test_draws_by_one_of_the_two_weights_pass() -> None:
    random = Random(7)
    drawn = [sum(random.random() < 0.25 for _ in range(60)) for _ in range(2000)]
    assert judged(shares(*[0] * 10, *drawn)).passed


def test_a_rotation_that_serves_one_backend_after_the_other_passes() -> None:
    turn = ["v1"] * 75 + ["fresh"] * 25
    served = [*(turn * 30), *["fresh"] * 600]
    pieces = [served[start : start + 60] for start in range(0, len(served), 60)]
    stretches = tuple({name: piece.count(name) for name in ("v1", "fresh")} for piece in pieces)
    assert {"v1": 60, "fresh": 0} in stretches
    whole = traffic({name: served.count(name) for name in ("v1", "fresh")})
    found = within_either_step(
        SEEN, replace(whole, windows=stretches), QUARTER, {"v1": 0, "fresh": 100}, CONVERGED
    )
    assert found.passed


@pytest.mark.parametrize(
    "during",
    [
        traffic({"v1": 900, "fresh": 99, "v3": 1}),
        traffic({"v1": 900, "fresh": 99}, failures={"reset": 1}),
        silence(1000),
    ],
    ids=["gone astray", "lost", "all lost"],
)
def test_a_single_request_lost_or_gone_astray_fails(during: Traffic) -> None:
    assert judged(during).verdict is Verdict.FAIL


def test_a_backend_of_weight_zero_in_both_steps_may_get_nothing() -> None:
    assert (
        within_either_step(SEEN, traffic({"v1": 999, "fresh": 1}), OLD, OLD, CONVERGED).verdict
        is Verdict.FAIL
    )


def test_without_the_effect_nothing_is_concluded_not_even_from_a_loss() -> None:
    unseen = Judgement(Verdict.FAIL, "the later weights never came")
    assert judged(silence(1000), unseen).verdict is Verdict.INCONCLUSIVE


def test_too_little_traffic_is_inconclusive() -> None:
    assert judged(traffic({"v1": 20})).verdict is Verdict.INCONCLUSIVE


def test_traffic_that_was_over_before_the_change_was_measured_is_inconclusive() -> None:
    over = replace(traffic({"v1": 1000}), expired=True)
    found = judged(over)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary.startswith("the background traffic expired after 1,000 requests")
    assert judged(replace(over, expired=False)).passed


def test_what_went_wrong_before_the_traffic_was_over_fails_all_the_same() -> None:
    assert judged(replace(traffic({"v1": 999, "v3": 1}), expired=True)).verdict is Verdict.FAIL


def test_where_each_connection_is_one_draw_shares_are_not_judged() -> None:
    drawn = traffic({"v1": 300, "fresh": 700}, new_connections=False, connections=10, uniform_connections=10)
    assert judged(drawn).passed
    assert judged(replace(drawn, uniform_connections=9)).verdict is Verdict.FAIL


def test_ledgers_that_miss_answers_are_inconclusive() -> None:
    assert judged(traffic({"v1": 1000}, received={"v1": 900})).verdict is Verdict.INCONCLUSIVE

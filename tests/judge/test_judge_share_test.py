"""Samples that end early: their error rates, exact and by simulation, and their verdicts."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from judge_evidence import CONVERGED, traffic
from scipy import signal, stats

from conformance import judge
from conformance.judge.share_test import ShareTest
from conformance.judge.statistics import (
    ALPHA,
    EARLY_ERROR,
    EARLY_REJECTION,
    POWER,
    POWER_AT_END,
    SAMPLES,
    STEP,
    Region,
    alternatives,
    early_alternatives,
    expected_shares,
    regions,
)
from conformance.model.evidence import Effect, Look, Traffic
from conformance.model.verdict import Verdict

TWO = [
    {"v1": 80, "v2": 20},
    {"v1": 50, "v2": 50},
    {"v1": 95, "v2": 5},
    {"v1": 2, "v2": 1},
    {"v1": 99, "v2": 1},
]
MANY = [
    {"v1": 749, "v2": 250, "v3": 1},
    {"v1": 75, "v2": 24, "v3": 1},
    {"v1": 50, "v2": 25, "v3": 25},
    {"v1": 1, "v2": 2, "v3": 3, "v4": 4, "v5": 5},
    {"v1": 3, "v2": 1, "v3": 0},
]
BASELINE = traffic({"other": 60})


def name(weights: Mapping[str, int]) -> str:
    return ":".join(map(str, weights.values()))


def of_first(accepted: Mapping[str, Region]) -> tuple[int, int]:
    """The least and the most requests of the first of two backends with which both are accepted."""
    first, second = accepted.values()
    return max(first.low, first.n - second.high), min(first.high, first.n - second.low)


class Outcome:
    """The exact distribution of a sample of two backends whose first has the true share ``share``."""

    def __init__(self, weights: Mapping[str, int], share: float) -> None:
        test = ShareTest(weights)
        whole = of_first(regions(test.most, weights))
        step = stats.binom.pmf(np.arange(STEP + 1), STEP, share)
        undecided = np.ones(1)
        self.accepted_early = self.rejected_early = self.requests = 0.0
        for n in range(STEP, test.most + 1, STEP):
            self.requests += STEP * undecided.sum()
            undecided = signal.convolve(undecided, step, method="direct")
            if n == test.most:
                break
            low, high = of_first(test.tolerated_at(n))
            self.rejected_early += undecided[:low].sum() + undecided[high + 1 :].sum()
            undecided[:low] = undecided[high + 1 :] = 0.0
            if accepted := test.accepted_at(n):
                low, high = of_first(accepted)
                self.accepted_early += undecided[low : high + 1].sum()
                undecided[low : high + 1] = 0.0
        self.accepted_at_end = undecided[whole[0] : whole[1] + 1].sum()
        self.rejected = self.rejected_early + undecided.sum() - self.accepted_at_end


@pytest.mark.parametrize("weights", TWO, ids=name)
def test_a_conforming_mesh_is_rejected_by_alpha_at_most(weights: dict[str, int]) -> None:
    outcome = Outcome(weights, next(iter(expected_shares(weights).values())))
    assert SAMPLES * outcome.rejected <= ALPHA
    assert SAMPLES * outcome.rejected_early <= ALPHA * EARLY_REJECTION


@pytest.mark.parametrize("weights", TWO, ids=name)
def test_a_wrong_share_is_rejected_with_the_promised_power(weights: dict[str, int]) -> None:
    share = next(iter(expected_shares(weights).values()))
    for wrong in {*alternatives(share), *(1 - other for other in alternatives(1 - share))}:
        outcome = Outcome(weights, wrong)
        assert outcome.accepted_early <= EARLY_ERROR
        assert outcome.rejected >= POWER


@pytest.mark.parametrize(
    ("weights", "requests"),
    [
        ({"a": 80, "b": 20}, 1_400),
        ({"a": 50, "b": 50}, 2_200),
        ({"a": 95, "b": 5}, 590),
        ({"a": 2, "b": 1}, 1_900),
    ],
    ids=str,
)
def test_the_sample_of_a_conforming_mesh_takes_as_many_requests_as_documented(
    weights: dict[str, int], requests: int
) -> None:
    outcome = Outcome(weights, next(iter(expected_shares(weights).values())))
    assert outcome.requests == pytest.approx(requests, rel=0.05)


def test_a_backend_that_must_get_nothing_is_watched_as_long_as_a_leak_of_one_percent_takes() -> None:
    """That is the alternative of a share of nothing; of all requests it is five points."""
    assert first_accepting(ShareTest({"v1": 1, "v2": 0})) == 800
    assert 0.99**800 <= EARLY_ERROR < 0.99**700
    assert (ShareTest({"v1": 1}).most, first_accepting(ShareTest({"v1": 1}))) == (200, None)


def first_accepting(test: ShareTest) -> int | None:
    return next((n for n in test.looks() if test.accepted_at(n)), None)


def test_both_ways_of_accepting_a_wrong_share_are_within_the_power() -> None:
    assert pytest.approx(1 - POWER) == EARLY_ERROR + (1 - POWER_AT_END)


@pytest.mark.parametrize("weights", [*TWO, *MANY], ids=name)
def test_a_look_accepts_counts_by_the_ratio_of_likelihoods(weights: dict[str, int]) -> None:
    shares = expected_shares(weights)
    for n in (200, 700, 1_500, 4_000):
        for backend, region in ShareTest(weights).accepted_at(n).items():
            share = shares[backend]
            for count in {region.low - 1, region.low, region.high, region.high + 1} & set(range(n + 1)):
                least = min(
                    (
                        stats.binom.logpmf(count, n, share) - stats.binom.logpmf(count, n, wrong)
                        for wrong in early_alternatives(share)
                    ),
                    default=np.inf if count == round(share * n) else -np.inf,
                )
                assert (least >= -np.log(EARLY_ERROR)) == region.accepts(count), (n, backend, count)


def test_a_small_share_is_not_accepted_by_what_three_times_the_share_would_show() -> None:
    """A whole sample mostly rejects three times one in a thousand, and an early end must not lose that."""
    rng = random.Random(7)
    weights = {"v1": 749, "v2": 250, "v3": 1}
    tripled = {"v1": 748, "v2": 249, "v3": 3}
    seen = [verdict_of(drawn(ShareTest(weights), at_random(rng, tripled)), weights) for _ in range(60)]
    assert seen.count(Verdict.FAIL) >= 36


# --- samples as the probe draws them: in order, ended by the first look that suffices ---------------


def at_random(rng: random.Random, weights: Mapping[str, int]) -> Iterator[str]:
    while True:
        yield from rng.choices(list(weights), list(weights.values()), k=STEP)


def in_turn(rng: random.Random, weights: Mapping[str, int]) -> Iterator[str]:
    """Smooth rotation, as in NGINX: each request goes to the backend that is the furthest behind."""
    due = {backend: rng.random() for backend in weights}
    while True:
        for backend, weight in weights.items():
            due[backend] += weight
        chosen = max(due, key=lambda backend: due[backend])
        due[chosen] -= sum(weights.values())
        yield chosen


def at_a_stretch(rng: random.Random, weights: Mapping[str, int]) -> Iterator[str]:
    """Rotation that serves each weight at a stretch, from a random place on."""
    turn = [backend for backend, weight in weights.items() for _ in range(weight)]
    place = rng.randrange(len(turn))
    while True:
        yield turn[place % len(turn)]
        place += 1


def by_connection(rng: random.Random, weights: Mapping[str, int]) -> Iterator[str]:
    """A draw for each connection, of which each request has its own."""
    return at_random(rng, weights)


WAYS: dict[str, Callable[[random.Random, Mapping[str, int]], Iterator[str]]] = {
    "at random": at_random,
    "in turn": in_turn,
    "at a stretch": at_a_stretch,
    "by connection": by_connection,
}


def drawn(test: ShareTest, answers: Iterator[str], in_flight: int = 31) -> Traffic:
    looks: list[Look] = []
    counts: dict[str, int] = {}
    ends_at = test.most
    for sent, server in enumerate(answers, 1):
        counts[server] = counts.get(server, 0) + 1
        if sent % STEP == 0:
            looks.append(Look(sent, dict(counts)))
            if ends_at == test.most and test.ended_at(looks[-1:], sent):
                ends_at = min(sent + in_flight, test.most)
        if sent >= ends_at:
            return replace(traffic(counts), looks=tuple(looks))
    raise AssertionError("the answers have no end")


def verdict_of(sample: Traffic, weights: Mapping[str, int]) -> Verdict:
    return judge.weights_followed(Effect(BASELINE, sample, CONVERGED), weights).verdict


@pytest.mark.parametrize("weights", [*TWO, *MANY], ids=name)
@pytest.mark.parametrize("way", WAYS)
def test_a_conforming_mesh_passes_however_it_draws(way: str, weights: dict[str, int]) -> None:
    rng = random.Random(f"{way} {name(weights)}")
    samples = [drawn(ShareTest(weights), WAYS[way](rng, weights)) for _ in range(20)]
    # Of 20 samples 0.0005 are rejected.
    assert {verdict_of(sample, weights) for sample in samples} == {Verdict.PASS}
    assert sum(sample.sent for sample in samples) < 0.8 * 20 * ShareTest(weights).most


@pytest.mark.parametrize(
    "weights", [{"v1": 80, "v2": 20}, {"v1": 2, "v2": 1}, {"v1": 50, "v2": 25, "v3": 25}], ids=name
)
def test_five_points_from_one_backend_to_another_are_rejected_in_simulation(weights: dict[str, int]) -> None:
    rng = random.Random(11)
    total = sum(weights.values())
    moved = {backend: 100 * weight for backend, weight in weights.items()}
    moved["v1"], moved["v2"] = moved["v1"] - 5 * total, moved["v2"] + 5 * total
    seen = [verdict_of(drawn(ShareTest(weights), at_random(rng, moved)), weights) for _ in range(150)]
    # One in a thousand may escape; two or more of 150 would do so once in 90 repetitions.
    assert seen.count(Verdict.FAIL) >= 149


def test_the_verdict_is_that_of_the_look_that_ended_the_sample() -> None:
    weights = {"v1": 80, "v2": 20}
    early = {"v1": 1040, "v2": 260}
    looks = (Look(1_200, {"v1": 985, "v2": 215}), Look(1_300, early))
    sample = replace(traffic({"v1": 1_042, "v2": 279}), looks=looks)
    found = judge.weights_followed(Effect(BASELINE, sample, CONVERGED), weights)
    assert found.verdict is Verdict.PASS
    assert found.summary.startswith("1,300 requests: v1 80 % of 80 %, v2 20 % of 20 %; ")
    assert "the sample ended after 1,300 of at most 4,200" in found.summary
    assert [share.observed for share in found.shares] == [0.8, 0.2]
    assert all(share.low <= share.observed <= share.high for share in found.shares)
    assert "after 1,300 requests" in found.expected


def test_a_share_that_is_wrong_for_a_while_is_rejected() -> None:
    """By the end of the sample it would be diluted."""
    rng = random.Random(13)
    weights = {"v1": 60, "v2": 40}
    answers = itertools.chain(itertools.repeat("v2", 500), at_random(rng, weights))
    sample = drawn(ShareTest(weights), answers)
    assert sample.sent < 500
    found = judge.weights_followed(Effect(BASELINE, sample, CONVERGED), weights)
    assert found.verdict is Verdict.FAIL
    assert re.search(r"v2 got [34]00 of [34]00 requests .* where \d+ to \d+ are accepted", found.summary)
    assert not any(share.low <= share.observed <= share.high for share in found.shares)


def test_no_look_rejects_a_weight_that_is_served_at_a_stretch() -> None:
    looks = [Look(n, {"v1": n}) for n in (200, 400, 700)]
    assert ShareTest({"v1": 750, "v2": 250}).ended_at(looks, 700) is None
    ended = ShareTest({"v1": 3, "v2": 1}).ended_at(looks, 700)
    assert ended is not None
    assert ended.look is looks[2]


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize(
    "weights", [{"v1": 75, "v2": 25}, {"v1": 60, "v2": 40}, {"v1": 80, "v2": 20}], ids=name
)
def test_workers_that_serve_weights_at_a_stretch_side_by_side_pass(
    weights: dict[str, int], workers: int
) -> None:
    """All begin with the first backend, which therefore gets several times its weight in a row."""
    turn = [backend for backend, weight in weights.items() for _ in range(weight)]
    answers = (turn[request // workers % len(turn)] for request in itertools.count())
    assert verdict_of(drawn(ShareTest(weights), answers), weights) is Verdict.PASS


@pytest.mark.parametrize("weights", [*TWO, *MANY], ids=name)
def test_no_look_rejects_a_deviation_that_the_whole_sample_accepts(weights: dict[str, int]) -> None:
    test = ShareTest(weights)
    whole = regions(test.most, weights)
    for n in test.looks():
        for backend, share in expected_shares(weights).items():
            tolerated = test.tolerated_at(n)[backend]
            for at_the_end in (whole[backend].low, whole[backend].high):
                deviating = n * share + at_the_end - test.most * share
                inside = tolerated.low - 1 < deviating < tolerated.high + 1
                assert inside or not 0 <= deviating <= n, (n, backend)


def test_a_look_that_did_not_end_the_sample_does_not_decide() -> None:
    """Of many looks one may be as claimed by chance."""
    early = Look(1_300, {"v1": 1_040, "v2": 260})
    later = Look(1_400, {"v1": 1_090, "v2": 310})
    test = ShareTest({"v1": 80, "v2": 20})
    assert test.ended_at([early], 1_399) is not None
    assert test.ended_at([early, later], 1_400) is None
    sample = replace(traffic({"v1": 3_150, "v2": 1_050}), looks=(early, later))
    assert verdict_of(sample, {"v1": 80, "v2": 20}) is Verdict.FAIL


def test_looks_that_contradict_the_batch_are_inconclusive() -> None:
    looks = (Look(1_300, {"v1": 1_040, "v2": 260}),)
    sample = replace(traffic({"v1": 1_130, "v2": 200}), looks=looks)
    found = judge.weights_followed(Effect(BASELINE, sample, CONVERGED), {"v1": 80, "v2": 20})
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the look at 1,300 requests counts answers that the whole batch has not" in found.summary


def test_a_short_sample_that_no_look_ended_is_inconclusive() -> None:
    looks = (Look(1_200, {"v1": 900, "v2": 300}),)
    sample = replace(traffic({"v1": 930, "v2": 305}), looks=looks)
    found = judge.weights_followed(Effect(BASELINE, sample, CONVERGED), {"v1": 80, "v2": 20})
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "that takes 4,200" in found.summary


def test_a_look_at_the_whole_sample_is_judged_by_its_region() -> None:
    """It may accept counts that no earlier look does."""
    weights = {"v1": 80, "v2": 20}
    counts = {"v1": 3_460, "v2": 740}
    assert not ShareTest(weights).accepted_at(4_100)["v1"].accepts(3_460)
    sample = replace(traffic(counts), looks=(Look(4_200, counts),))
    assert verdict_of(sample, weights) is Verdict.PASS


@pytest.mark.parametrize(
    "look",
    [
        Look(1_300, {"v1": 1_040, "v2": 259}),
        Look(1_300, {"v1": 1_040, "v2": 259, "v3": 1}),
        Look(100, {"v1": 80, "v2": 20}),
        Look(4_200, {"v1": 3_360, "v2": 840}),
    ],
    ids=["one unanswered", "one of no backend", "fewer than show a leak", "the whole sample"],
)
def test_a_look_ends_no_sample_in_which(look: Look) -> None:
    assert ShareTest({"v1": 80, "v2": 20}).ended_at([look], look.sent) is None


def test_a_stray_request_after_the_last_look_fails_as_well() -> None:
    weights = {"v1": 80, "v2": 20}
    looks = (Look(1_300, {"v1": 1_040, "v2": 260}),)
    sample = replace(traffic({"v1": 1_050, "v2": 264, "v9": 1}), looks=looks)
    assert verdict_of(sample, weights) is Verdict.FAIL


def test_connections_that_stay_with_one_backend_leave_an_early_end_inconclusive() -> None:
    looks = (Look(1_300, {"v1": 1_040, "v2": 260}),)
    sample = traffic({"v1": 1_040, "v2": 260}, new_connections=False, connections=32, uniform_connections=32)
    assert verdict_of(replace(sample, looks=looks), {"v1": 80, "v2": 20}) is Verdict.INCONCLUSIVE


def test_a_backend_of_weight_nothing_ends_no_sample_that_reached_it() -> None:
    weights = {"v1": 3, "v2": 1, "v3": 0}
    clean = Look(2_000, {"v1": 1_500, "v2": 500})
    assert ended_at(weights, clean) == (clean, True)
    leaked = Look(2_000, {"v1": 1_500, "v2": 499, "v3": 1})
    assert ended_at(weights, leaked) == (leaked, False)


def ended_at(weights: Mapping[str, int], look: Look) -> tuple[Look, bool] | None:
    """The look, if it ends a sample, and whether all counts are inside the regions."""
    ended = ShareTest(weights).ended_at([look], look.sent)
    if ended is None:
        return None
    return ended.look, all(region.accepts(look.answered.get(one, 0)) for one, region in ended.regions.items())


def test_the_workloads_of_a_backend_are_counted_together() -> None:
    weights = {"v1": 50, "pair": 50}
    test = ShareTest(weights, {"pair": ("v2", "v3")})
    assert test.workloads("pair") == ("v2", "v3")
    assert test.workloads("v1") == ("v1",)
    counts = {"v1": 1_000, "v2": 700, "v3": 300}
    sample = replace(traffic(counts), looks=(Look(2_000, counts),))
    found = judge.weights_followed(Effect(BASELINE, sample, CONVERGED), weights, {"pair": ("v2", "v3")})
    assert found.verdict is Verdict.PASS
    assert {share.server: share.observed for share in found.shares} == {"v1": 0.5, "pair": 0.5}


@pytest.mark.parametrize("weights", [*TWO, *MANY], ids=name)
def test_the_expected_counts_are_inside_the_region_of_each_look(weights: dict[str, int]) -> None:
    test = ShareTest(weights)
    for n in test.looks():
        accepted, tolerated = test.accepted_at(n), test.tolerated_at(n)
        for backend, share in expected_shares(weights).items():
            inside = (tolerated[backend].low, n * share, tolerated[backend].high)
            if accepted:
                inside = (*inside[:1], accepted[backend].low, n * share, accepted[backend].high, *inside[2:])
            assert list(inside) == sorted(inside), (n, backend)

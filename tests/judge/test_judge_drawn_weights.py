"""All drawn weights are distinguishable from the traffic before them."""

from __future__ import annotations

from hypothesis import example, given
from judge_evidence import traffic

from conformance import judge
from conformance.judge.statistics import MIN_REQUESTS, sample_size
from conformance.model.evidence import Convergence, Effect
from conformance.suites.traffic_split.test_drawn_weights import TRIALS, former_backend, vectors

INDISTINGUISHABLE = "indistinguishable from no mesh"


def judged(weights: dict[str, int], first: str) -> str:
    baseline = traffic({first: 60}, connections=20, uniform_connections=20, new_connections=False)
    size = max(sample_size(weights, TRIALS), MIN_REQUESTS)
    total = sum(weights.values())
    seen = {name: round(size * weight / total) for name, weight in weights.items() if weight}
    sample = traffic(seen, connections=20, new_connections=False)
    return judge.weights_followed(
        Effect(baseline, sample, Convergence("shares", 8.0, 0.1)), weights, samples_sharing_alpha=TRIALS
    ).summary


@given(vectors())
@example({"v2": 0, "v3": 0, "v4": 1, "fifth": 0, "sixth": 5})
@example({"v2": 5, "v3": 0, "v4": 0, "fifth": 0, "sixth": 5})
@example({"v2": 0, "v3": 0, "v4": 0, "fifth": 0, "sixth": 1})
@example({"v2": 1})
def test_all_drawn_weights_are_distinguishable_from_the_baseline(weights: dict[str, int]) -> None:
    assert INDISTINGUISHABLE not in judged(weights, former_backend(weights))


def test_a_tiny_share_for_others_would_be_indistinguishable() -> None:
    assert INDISTINGUISHABLE in judged({"v4": 1, "sixth": 5}, "sixth")

"""Weights are ratios, for each client by itself and wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import (
    CONCURRENCY,
    Conclude,
    Effect,
    ExpectedResponders,
    PollResult,
    Scenario,
    Traffic,
    classify_poll,
    drives_scenario,
    judge,
    sample_size,
    sampling,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/weights-are-relative",
    arena=("main", "peer"),
    groups=("split",),
)

TWO_TO_ONE = {"v2": 1000, "v3": 500}
THREE_TO_ONE = {"v2": 3, "v3": 1}
FLOOD_PER_S = 500.0
FLOODED = 500
"""Requests that v3 has had of the flood when the samples are drawn."""
MEANWHILE = 100
"""How many it has meanwhile, at least: a fifth of a second's, in which no client is done with its sample."""
HELD_MS = 50
"""So long v3 takes for each of these: two dozen of them are under way at any time."""


@dataclass(frozen=True)
class Ratios:
    """The shares of each client, and how much of the flood v3 got while those of ``together`` were drawn."""

    few: Effect
    thousands: Effect
    elsewhere: Effect
    together: tuple[Effect, Effect]
    meanwhile: int


@drives_scenario
def ratios(scenario: Scenario) -> Ratios:
    scenario.create_services()
    size = sample_size(TWO_TO_ONE)
    two = frozenset(TWO_TO_ONE)
    few = ExpectedResponders(
        scenario.call("main/client", "main/few", requests=sample_size(THREE_TO_ONE)), two
    )
    thousands = ExpectedResponders(scenario.call("main/client", "main/thousands", requests=size), two)
    elsewhere = ExpectedResponders(scenario.call("peer/peer", "main/thousands", requests=size), two)
    other = scenario.call("main/client-b", "main/thousands", requests=size)
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    _, (undivided,) = scenario.wait_for_responders(
        [other], lambda _, seen: _goes_beyond(seen, two), ["the other client reaches all"], servers
    )
    alone = scenario.apply_and_sample([few, thousands, elsewhere], "split.yaml", servers=servers)
    # The other client keeps v3 busy under its own name; both are looked at once v3 has felt it.
    direct = scenario.call(
        "main/client-b", "main/v3", requests=CONCURRENCY, headers={"x-probe-delay-ms": str(HELD_MS)}
    )
    befores, calls = [alone[1].baseline, undivided], [thousands.call, other]
    with scenario.driver.start(
        direct, rate_per_s=FLOOD_PER_S, duration_s=scenario.background_duration_s(2)
    ) as flood:
        scenario.wait_for_volume(
            lambda: flood.received("main/v3") >= FLOODED, "the other client keeps v3 busy"
        )
        convergences, polls = scenario.wait_for_responders(
            calls, lambda _, seen: classify_poll(seen, only=two), ["only v2, v3 answer"] * 2
        )
        felt = flood.received("main/v3")
        drawn = scenario.send(*calls, servers=servers, options=sampling(polls[0]))
        meanwhile = flood.received("main/v3") - felt
        flood.stop()
    mine, others = (Effect(*each) for each in zip(befores, drawn, convergences, strict=True))
    return Ratios(alone[0], alone[1], alone[2], (mine, others), meanwhile)


def _goes_beyond(seen: Traffic, some: frozenset[str]) -> PollResult:
    """Whether others answer as well."""
    found = classify_poll(seen)
    return (
        PollResult.INSUFFICIENT if found is PollResult.SATISFIED and some.issuperset(seen.answered) else found
    )


@pytest.mark.requirement("split-weights-are-relative")
def test_three_to_one_means_three_quarters(ratios: Ratios, verdict: Conclude) -> None:
    verdict(judge.weights_followed(ratios.few, THREE_TO_ONE))


@pytest.mark.requirement("split-weights-are-relative")
def test_a_thousand_to_five_hundred_means_two_thirds(ratios: Ratios, verdict: Conclude) -> None:
    verdict(judge.weights_followed(ratios.thousands, TWO_TO_ONE))


@pytest.mark.requirement(
    "split-client-in-other-namespace", presumes=("split-weighted-distribution", "split-weights-are-relative")
)
def test_a_client_of_another_namespace_sees_the_same_shares(ratios: Ratios, verdict: Conclude) -> None:
    verdict(judge.weights_followed(ratios.elsewhere, TWO_TO_ONE))


@pytest.mark.requirement(
    "split-per-client-ratio", presumes=("split-weighted-distribution", "split-weights-are-relative")
)
def test_what_another_client_sends_to_a_backend_does_not_count(ratios: Ratios, verdict: Conclude) -> None:
    mine, others = ratios.together
    if ratios.meanwhile < MEANWHILE:
        reached = f"{ratios.meanwhile:,} of the other client's requests reached v3 beside the samples"
        verdict(judge.inconclusive(f"{reached}, which keeps nobody busy: that takes {MEANWHILE:,}"))
    verdict(
        judge.all_of(
            beside_the_flood=judge.weights_followed(mine, TWO_TO_ONE),
            of_the_other_client=judge.weights_followed(others, TWO_TO_ONE),
        )
    )

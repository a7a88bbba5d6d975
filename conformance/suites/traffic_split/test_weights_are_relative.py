"""Weights are ratios, for each client by itself, in any namespace."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
"""Requests of the flood at v3 before the samples are drawn."""
MEANWHILE = 100
"""The least number of them meanwhile: those of a fifth of a second, less than any sample takes."""
HELD_MS = 50
"""The time v3 takes for each: two dozen of them are under way at any moment."""


@dataclass(frozen=True)
class Ratios:
    """The effect for each client; ``meanwhile``: requests of the flood at v3 during those of ``together``."""

    few: Effect
    thousands: Effect
    elsewhere: Effect
    together: tuple[Effect, Effect]
    meanwhile: int


@drives_scenario
def ratios(scenario: Scenario) -> Ratios:
    scenario.create_services()
    two = frozenset(TWO_TO_ONE)
    few = ExpectedResponders.by_weight(scenario.call("main/client", "main/few"), THREE_TO_ONE)
    thousands, elsewhere, beside = (
        ExpectedResponders.by_weight(scenario.call(client, "main/thousands"), TWO_TO_ONE)
        for client in ("main/client", "peer/peer", "main/client-b")
    )
    other = beside.call
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    _, (undivided,) = scenario.wait_for_responders(
        [other], lambda _, seen: _goes_beyond(seen, two), ["the other client reaches all"], servers
    )
    alone = scenario.apply_and_sample([few, thousands, elsewhere], "split.yaml", servers=servers)
    # The other client keeps v3 busy under its own name; both are sampled once v3 is busy.
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
        options = replace(sampling(polls[0]), share_test=beside.share_test)
        drawn = scenario.send(*calls, servers=servers, options=options)
        meanwhile = flood.received("main/v3") - felt
        flood.stop()
    mine, others = (Effect(*each) for each in zip(befores, drawn, convergences, strict=True))
    return Ratios(alone[0], alone[1], alone[2], (mine, others), meanwhile)


def _goes_beyond(seen: Traffic, some: frozenset[str]) -> PollResult:
    """Whether other workloads answer as well."""
    found = classify_poll(seen)
    return (
        PollResult.INSUFFICIENT if found is PollResult.SATISFIED and some.issuperset(seen.answered) else found
    )


@pytest.mark.requirement("split-weights-are-relative")
def test_weights_3_and_1_mean_three_quarters(ratios: Ratios, verdict: Conclude) -> None:
    verdict(judge.weights_followed(ratios.few, THREE_TO_ONE))


@pytest.mark.requirement("split-weights-are-relative")
def test_weights_1000_and_500_mean_two_thirds(ratios: Ratios, verdict: Conclude) -> None:
    verdict(judge.weights_followed(ratios.thousands, TWO_TO_ONE))


@pytest.mark.requirement(
    "split-client-in-other-namespace", presumes=("split-weighted-distribution", "split-weights-are-relative")
)
def test_a_client_of_another_namespace_gets_the_same_shares(ratios: Ratios, verdict: Conclude) -> None:
    verdict(judge.weights_followed(ratios.elsewhere, TWO_TO_ONE))


@pytest.mark.requirement(
    "split-per-client-ratio", presumes=("split-weighted-distribution", "split-weights-are-relative")
)
def test_the_load_of_another_client_on_a_backend_changes_no_ratio(ratios: Ratios, verdict: Conclude) -> None:
    mine, others = ratios.together
    if ratios.meanwhile < MEANWHILE:
        reached = f"{ratios.meanwhile:,} of the other client's requests reached v3 beside the samples"
        verdict(judge.inconclusive(f"{reached}, which keeps nobody busy: that takes {MEANWHILE:,}"))
        return
    verdict(
        judge.all_of(
            beside_the_flood=judge.weights_followed(mine, TWO_TO_ONE),
            of_the_other_client=judge.weights_followed(others, TWO_TO_ONE),
        )
    )

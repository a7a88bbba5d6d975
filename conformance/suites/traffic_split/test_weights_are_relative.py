"""Weights are ratios, for each client by itself and wherever it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from conformance import judge
from conformance.drive.scenario import Division, Effect, Scenario
from conformance.evidence import Traffic
from conformance.judge.statistics import sample_size
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-split/weights-are-relative", arena=("main", "peer"), groups=("split",)
)

TWO_TO_ONE = {"v1": 1000, "v2": 500}
THREE_TO_ONE = {"v1": 3, "v2": 1}
FLOOD_PER_S = 500.0
FLOODED = 500


@dataclass(frozen=True)
class Ratios:
    few: Effect
    thousands: Effect
    elsewhere: Effect
    beside_flood: Effect
    flood: Traffic


@driven
def ratios(scenario: Scenario) -> Ratios:
    scenario.provide()
    size = sample_size(TWO_TO_ONE)
    two = frozenset(TWO_TO_ONE)
    few = Division(scenario.call("main/client", "main/few", requests=sample_size(THREE_TO_ONE)), two)
    thousands = Division(scenario.call("main/client", "main/thousands", requests=size), two)
    elsewhere = Division(scenario.call("peer/peer", "main/thousands", requests=size), two)
    servers = ["main/v1", "main/v2", "main/v3", "main/client-b"]
    alone = scenario.effects([few, thousands, elsewhere], "split.yaml", servers=servers)
    # A second client keeps v2 busy under its own name; the first is looked at again once v2 has felt it.
    direct = scenario.call("main/client-b", "main/v2")
    flood = scenario.driver.start(direct, rate_per_s=FLOOD_PER_S, duration_s=60.0)
    scenario.until(lambda: flood.reached("main/v2") >= FLOODED, "the other client keeps v2 busy")
    (beside,) = scenario.samples([thousands], [alone[1].before], servers)
    return Ratios(alone[0], alone[1], alone[2], beside, flood.stop(ledgers=servers))


@pytest.mark.requirement("split-weights-are-relative")
def test_three_to_one_means_three_quarters(ratios: Ratios, verdict: Callable[[Judgement], None]) -> None:
    before, sample, settling = ratios.few
    verdict(judge.shares(before, sample, THREE_TO_ONE, settling))


@pytest.mark.requirement("split-weights-are-relative")
def test_a_thousand_to_five_hundred_means_two_thirds(
    ratios: Ratios, verdict: Callable[[Judgement], None]
) -> None:
    before, sample, settling = ratios.thousands
    verdict(judge.shares(before, sample, TWO_TO_ONE, settling))


@pytest.mark.requirement("split-client-in-other-namespace")
def test_a_client_of_another_namespace_sees_the_same_shares(
    ratios: Ratios, verdict: Callable[[Judgement], None]
) -> None:
    before, sample, settling = ratios.elsewhere
    verdict(judge.shares(before, sample, TWO_TO_ONE, settling))


@pytest.mark.requirement("split-per-client-ratio")
def test_what_another_client_sends_to_a_backend_does_not_count(
    ratios: Ratios, verdict: Callable[[Judgement], None]
) -> None:
    before, sample, settling = ratios.beside_flood
    if ratios.flood.reached.get("v2", 0) < FLOODED:
        verdict(judge.inconclusive("the other client's requests did not reach v2 and kept nobody busy"))
    verdict(judge.shares(before, sample, TWO_TO_ONE, settling))

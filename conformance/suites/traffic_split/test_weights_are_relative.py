"""Weights are ratios, for each client by itself and wherever it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from conformance import judge
from conformance.drive.scenario import Division, Effect, Scenario
from conformance.evidence import Traffic
from conformance.judge.statistics import sample_size
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-split/weights-are-relative", arena=("main", "peer"), groups=("split",)
)

TWO_TO_ONE = {"v1": 1000, "v2": 500}
THREE_TO_ONE = {"v1": 3, "v2": 1}
FLOOD_PER_S = 200.0


@dataclass(frozen=True)
class Ratios:
    few: Effect
    elsewhere: Effect
    beside_flood: Effect
    flood: Traffic


@pytest.fixture(scope="module")
def ratios(scenario: Scenario) -> Ratios:
    scenario.apply("services.yaml")
    thousands = sample_size(TWO_TO_ONE)
    two = frozenset(TWO_TO_ONE)
    few = Division(scenario.call("main/client", "main/few", requests=sample_size(THREE_TO_ONE)), two)
    elsewhere = Division(scenario.call("peer/peer", "main/thousands", requests=thousands), two)
    beside = Division(scenario.call("main/client", "main/thousands", requests=thousands), two)
    servers = ["main/v1", "main/v2", "main/v3", "main/client-b"]
    direct = scenario.call("main/client-b", "main/v2")
    flood = scenario.driver.start(direct, rate_per_s=FLOOD_PER_S, duration_s=60.0)
    in_force = scenario.effects([few, elsewhere, beside], "split.yaml", servers=servers)
    return Ratios(in_force[0], in_force[1], in_force[2], flood.stop(ledgers=servers))


@pytest.mark.requirement("split-weights-are-relative")
def test_three_to_one_means_three_quarters(ratios: Ratios, verdict: Callable[[Judgement], None]) -> None:
    before, sample, settling = ratios.few
    verdict(judge.shares(before, sample, THREE_TO_ONE, settling))


@pytest.mark.requirement("split-weights-are-relative")
def test_a_thousand_to_five_hundred_means_two_thirds(
    ratios: Ratios, verdict: Callable[[Judgement], None]
) -> None:
    before, sample, settling = ratios.beside_flood
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
    own = judge.shares(before, sample, TWO_TO_ONE, settling)
    flooded = judge.preserved(own, ratios.flood, "v2")
    verdict(judge.all_of(own=own, flooded=flooded))

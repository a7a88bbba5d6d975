"""Requests that a route group selects for a split are divided alike in HTTP/1.1, HTTP/2 and gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from conformance.suite import (
    Call,
    Conclude,
    Effect,
    ExpectedResponders,
    Judgement,
    Scenario,
    Traffic,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario(
    "traffic-specs/both-versions-split", arena=("main",), groups=("split", "specs")
)

SERVERS = ["main/v1", "main/v2", "main/v3"]
WEIGHTS = {"v2": 95, "v3": 5}
FEW = 300
PROTOCOLS = ("http", "http2", "grpc")
SELECTED = {"x-tester": "yes"}
OTHERS: tuple[Mapping[str, str], ...] = ({}, {"x-tester": "no"})


@dataclass(frozen=True)
class Spoken:
    """By protocol: the effect on selected requests, and the traffic of the others meanwhile."""

    selected: Mapping[str, Effect]
    others: Mapping[str, list[Traffic]]


@drives_scenario
def spoken(scenario: Scenario) -> Spoken:
    def call(protocol: str, headers: Mapping[str, str]) -> Call:
        return scenario.call("main/client", "main/spoken", requests=FEW, protocol=protocol, headers=headers)

    scenario.create_services()
    wanted = [ExpectedResponders.by_weight(call(protocol, SELECTED), WEIGHTS) for protocol in PROTOCOLS]
    selected = scenario.apply_and_sample(wanted, "split.yaml", servers=SERVERS)
    others = {
        protocol: scenario.send(*(call(protocol, one) for one in OTHERS), servers=SERVERS)
        for protocol in PROTOCOLS
    }
    return Spoken(dict(zip(PROTOCOLS, selected, strict=True)), others)


def divided_as_declared(spoken: Spoken, protocol: str) -> Judgement:
    """Selected requests are divided, and the others stay at the root."""
    effect = spoken.selected[protocol]
    divided = judge.weights_followed(effect, WEIGHTS)
    return judge.all_of(
        **{protocol: divided, "others": judge.preserved(divided, spoken.others[protocol], "v1")}
    )


@pytest.mark.requirement("http-both-protocol-versions")
def test_requests_that_a_group_selects_are_divided_alike_in_both_http_versions(
    spoken: Spoken, verdict: Conclude
) -> None:
    verdict(
        judge.conditional_on(
            divided_as_declared(spoken, "http"),
            divided_as_declared(spoken, "http2"),
            "nothing to compare HTTP/2 with",
        )
    )


@pytest.mark.requirement("http-grpc-through-routes")
def test_grpc_calls_that_a_group_selects_are_divided_alike(spoken: Spoken, verdict: Conclude) -> None:
    verdict(
        judge.conditional_on(
            divided_as_declared(spoken, "http2"),
            divided_as_declared(spoken, "grpc"),
            "nothing to compare gRPC with",
        )
    )

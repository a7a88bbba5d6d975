"""HTTP/1.1, HTTP/2 and gRPC: what a route group selects for a split is divided alike in all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from conformance import judge
from conformance.drive.scenario import Division, Effect, Scenario
from conformance.evidence import Call, Traffic
from conformance.judge.statistics import sample_size
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-specs/both-versions-split", arena=("main",), groups=("split", "specs")
)

SERVERS = ["main/v1", "main/v2", "main/v3"]
WEIGHTS = {"v2": 95, "v3": 5}
FEW = 300
PORTS = {"http": 8080, "http2": 8081, "grpc": 8081}
SELECTED = {"x-tester": "yes"}
OTHERS: tuple[Mapping[str, str], ...] = ({}, {"x-tester": "no"})


@dataclass(frozen=True)
class Spoken:
    """By protocol: the effect on what is selected, and what the others got meanwhile."""

    selected: Mapping[str, Effect]
    others: Mapping[str, list[Traffic]]


@driven
def spoken(scenario: Scenario) -> Spoken:
    def call(protocol: str, headers: Mapping[str, str], requests: int = FEW) -> Call:
        return scenario.call(
            "main/client",
            "main/spoken",
            requests=requests,
            port=PORTS[protocol],
            protocol=protocol,
            headers=headers,
        )

    scenario.provide()
    size = sample_size(WEIGHTS)
    wanted = [Division(call(protocol, SELECTED, size), frozenset(WEIGHTS)) for protocol in PORTS]
    selected = scenario.effects(wanted, "split.yaml", servers=SERVERS)
    others = {
        protocol: scenario.send(*(call(protocol, one) for one in OTHERS), servers=SERVERS)
        for protocol in PORTS
    }
    return Spoken(dict(zip(PORTS, selected, strict=True)), others)


@pytest.mark.requirement("http-both-protocol-versions")
def test_what_a_group_selects_for_a_split_is_divided_alike_in_both_versions(
    spoken: Spoken, verdict: Callable[[Judgement], None]
) -> None:
    http = judge.shares(*spoken.selected["http"][:2], WEIGHTS, spoken.selected["http"].settling)
    others = judge.preserved(http, spoken.others["http"], "v1")
    if not (http.passed and others.passed):
        # Conditions that do not hold at all are for the requirements of splits to fail.
        verdict(judge.inconclusive(f"nothing to compare HTTP/2 with: {http.summary}; {others.summary}"))
        return
    http2 = judge.shares(*spoken.selected["http2"][:2], WEIGHTS, spoken.selected["http2"].settling)
    others_http2 = judge.preserved(http2, spoken.others["http2"], "v1")
    verdict(judge.all_of(http=http, others=others, http2=http2, others_http2=others_http2))


@pytest.mark.requirement("http-grpc-through-routes")
def test_what_a_group_selects_for_a_split_is_divided_alike_where_it_is_grpc(
    spoken: Spoken, verdict: Callable[[Judgement], None]
) -> None:
    http2 = judge.shares(*spoken.selected["http2"][:2], WEIGHTS, spoken.selected["http2"].settling)
    others = judge.preserved(http2, spoken.others["http2"], "v1")
    if not (http2.passed and others.passed):
        verdict(judge.inconclusive(f"nothing to compare gRPC with: {http2.summary}; {others.summary}"))
        return
    grpc = judge.shares(*spoken.selected["grpc"][:2], WEIGHTS, spoken.selected["grpc"].settling)
    others_grpc = judge.preserved(grpc, spoken.others["grpc"], "v1")
    verdict(judge.all_of(http2=http2, others=others, grpc=grpc, others_grpc=others_grpc))

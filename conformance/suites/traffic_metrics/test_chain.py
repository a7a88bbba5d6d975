"""What TrafficMetrics shows of a chain of calls: client calls mid, mid calls server, idle gets no calls."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import (
    CHAIN,
    CHAIN_CALLS,
    CLUSTER_SCOPED,
    EXPECTED_MS,
    METRICS,
    ApiRead,
    Conclude,
    Scenario,
    ShownLoad,
    advertised,
    chain_edges,
    chain_totals,
    drive_load,
    drives_scenario,
    judge,
    wait_until_forgotten,
    wait_until_unloaded,
)

pytestmark = pytest.mark.scenario("traffic-metrics/chain", arena=("metrics",), groups=("metrics",))


@dataclass(frozen=True)
class Chain:
    """All reads, by what they read; ``later`` is mid once the window has passed, ``aliases`` name pods."""

    namespace: str
    baseline: dict[str, ApiRead]
    edges_before: dict[str, ApiRead]
    shown: ShownLoad
    listed: ApiRead
    single_edge: ApiRead
    discovery: ApiRead
    offered: list[ApiRead]
    aliases: dict[str, str]
    later: ApiRead


@drives_scenario
def chain(scenario: Scenario) -> Chain:
    namespace, reader = scenario.arena.namespace("metrics"), scenario.reader
    wait_until_unloaded(scenario)
    baseline, edges_before = chain_totals(scenario), chain_edges(scenario)
    discovery = reader.read(METRICS)
    shown = drive_load(scenario)
    offered = [
        reader.read(f"{METRICS}/{kind}") if kind in CLUSTER_SCOPED else reader.metrics(namespace, kind)
        for kind in advertised(discovery)
    ]
    return Chain(
        namespace=namespace,
        baseline=baseline,
        edges_before=edges_before,
        shown=shown,
        listed=reader.metrics(namespace, "deployments"),
        single_edge=reader.read(f"{METRICS}/namespaces/{namespace}/deployments/mid/edges/server"),
        discovery=discovery,
        offered=offered,
        aliases={scenario.arena.pod(f"metrics/{name}").name: name for name in (*CHAIN, "idle")},
        later=wait_until_forgotten(scenario, shown),
    )


@pytest.mark.requirement("metrics-discovery", presumes=("metrics-apiservice",))
def test_discovery_lists_the_kinds_with_verbs_and_scope(chain: Chain, verdict: Conclude) -> None:
    verdict(judge.discovery(chain.discovery, chain.offered))


@pytest.mark.requirement("metrics-object-fields", presumes=("metrics-apiservice",))
def test_objects_carry_all_fields_and_the_five_metrics(chain: Chain, verdict: Conclude) -> None:
    # Not the client, which gets no calls: the specification leaves objects without traffic open.
    shown = chain.shown
    verdict(judge.object_fields([*shown.reads.values(), *shown.edges.values(), chain.listed]))


@pytest.mark.requirement("metrics-edges-subresource", presumes=("metrics-apiservice",))
def test_the_edges_of_an_object_name_it_and_its_peers(chain: Chain, verdict: Conclude) -> None:
    verdict(
        judge.traffic_edges(
            {"mid": chain.edges_before["mid"]},
            {"mid": chain.shown.edges["mid"]},
            CHAIN_CALLS,
            chain.namespace,
            aliases=chain.aliases,
            addressed=chain.single_edge,
        )
    )


@pytest.mark.requirement("metrics-edge-direction", presumes=("metrics-apiservice",))
def test_the_direction_of_an_edge_tells_caller_from_called(chain: Chain, verdict: Conclude) -> None:
    verdict(
        judge.traffic_edges(
            chain.edges_before,
            chain.shown.edges,
            CHAIN_CALLS,
            chain.namespace,
            ["idle"],
            aliases=chain.aliases,
        )
    )


@pytest.mark.requirement("metrics-counts", presumes=("metrics-apiservice",))
def test_counts_are_those_of_the_requests_in_the_window(chain: Chain, verdict: Conclude) -> None:
    shown, load = chain.shown, chain.shown.load
    verdict(
        judge.request_counts(
            chain.baseline["mid"],
            shown.reads["mid"],
            chain.later,
            load.succeeded,
            load.failed,
            load.seconds,
            shown.again,
        )
    )


@pytest.mark.requirement("metrics-latency-percentiles", presumes=("metrics-apiservice",))
def test_percentiles_match_the_delays(chain: Chain, verdict: Conclude) -> None:
    verdict(judge.percentiles(chain.shown.reads["server"], EXPECTED_MS, chain.baseline["server"]))

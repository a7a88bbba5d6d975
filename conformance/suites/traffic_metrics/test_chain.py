"""What a chain of calls shows in TrafficMetrics: client calls mid, mid calls server, nobody calls idle."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from conformance.suite import (
    CLUSTER_SCOPED,
    DELAYS_MS,
    EXPECTED_MS,
    METRICS,
    PATIENT_S,
    ApiRead,
    Call,
    Conclude,
    Scenario,
    SendOptions,
    Traffic,
    advertised,
    drives_scenario,
    judge,
    shown_so_far,
    shown_window_s,
)

pytestmark = pytest.mark.scenario("traffic-metrics/chain", arena=("metrics",), groups=("metrics",))

SUCCEEDED, FAILED = 300, 100
AT_ONCE, DELAYED, SLOW = 320, 60, 20
"""At once, after the first of DELAYS_MS and after the second: 80, 15 and 5 %, as EXPECTED_MS has it."""
SENT = {"mid": SUCCEEDED + FAILED, "server": AT_ONCE + DELAYED + SLOW}
CONCURRENCY = 16
BURST_S = 2.0
"""Seconds over which these are spread: short against any window."""
CERTAIN = 0.9
"""The part of a window for which it surely holds a burst: its edge is as sharp as the collector's beat."""
SUSTAINED_S = 10.0
"""Seconds over which they are spread under a steady load: thirty successes a second."""
LONGEST_S = 300.0
"""Seconds after which such a load ends by itself, whatever the window."""
CALLED = ("mid", "server")
CHAIN = ("client", *CALLED)
CALLS = (("client", "mid"), ("mid", "server"))


@dataclass(frozen=True)
class Load:
    """What became of what mid was sent, at a constant rate, and over how many seconds."""

    succeeded: Traffic
    failed: Traffic
    seconds: float


@dataclass(frozen=True)
class Shown:
    """A load, and what is shown of it."""

    load: Load
    reads: dict[str, ApiRead]
    edges: dict[str, ApiRead]
    again: tuple[ApiRead, ...] = ()
    """Of mid, afterwards."""


@dataclass(frozen=True)
class Chain:
    namespace: str
    baseline: dict[str, ApiRead]
    edges_before: dict[str, ApiRead]
    shown: Shown
    listed: ApiRead
    single_edge: ApiRead
    discovery: ApiRead
    offered: list[ApiRead]
    aliases: dict[str, str]
    later: ApiRead


@drives_scenario
def chain(scenario: Scenario) -> Chain:
    namespace = scenario.arena.namespace("metrics")
    reader = scenario.reader
    limit = scenario.profile.metrics.delay_s
    # Traffic of an earlier run on these workloads would be counted with ours. Edges may be told by the other
    # end of a call, whose window goes on a moment longer.
    scenario.until(
        lambda: not any(shown_so_far(one) for read in (totals, edges) for one in read(scenario).values()),
        "earlier traffic has left the window",
        within_s=shown_window_s(totals(scenario)["mid"]) + limit,
    )
    baseline, edges_before = totals(scenario), edges(scenario)
    discovery = reader.read(METRICS)
    shown = sustained(scenario) if scenario.profile.metrics.sampled else burst(scenario)
    offered = [
        reader.read(f"{METRICS}/{kind}") if kind in CLUSTER_SCOPED else reader.metrics(namespace, kind)
        for kind in advertised(discovery)
    ]
    listed = reader.metrics(namespace, "deployments")
    single_edge = reader.read(f"{METRICS}/namespaces/{namespace}/deployments/mid/edges/server")
    scenario.until(
        lambda: shown_so_far(reader.metrics(namespace, "deployments", "mid")) == 0,
        "the window has passed and the counts with it",
        within_s=shown_window_s(shown.reads["mid"]) + limit,
    )
    return Chain(
        namespace=namespace,
        baseline=baseline,
        edges_before=edges_before,
        shown=shown,
        listed=listed,
        single_edge=single_edge,
        discovery=discovery,
        offered=offered,
        aliases={scenario.arena.pod(f"metrics/{name}").name: name for name in (*CHAIN, "idle")},
        later=reader.metrics(namespace, "deployments", "mid"),
    )


def burst(scenario: Scenario) -> Shown:
    """Drive a short load, read each object when most of it is shown and no more comes, and go on reading.

    The most, because a window slides, and because what is counted too often shows there plainest. The reads
    after that, because it is to be shown as long as the window holds it, and not now and then.
    """
    options = SendOptions(concurrency=CONCURRENCY, duration_s=BURST_S, timeout_s=PATIENT_S)
    now, stable_s = scenario.waiter.clock.now, scenario.profile.converge.stable_s
    began = now()
    sent = scenario.send(*calls(scenario), servers=["metrics/mid", "metrics/server"], options=options)
    due_at = now() + scenario.profile.metrics.delay_s
    most = totals(scenario)
    since = now()

    def certain_until() -> float:
        return began + CERTAIN * shown_window_s(most["mid"])

    def all_shown() -> bool:
        nonlocal since
        for name, read in totals(scenario).items():
            short = shown_so_far(read) < 0.99 * SENT[name] and now() <= certain_until()
            if short or shown_so_far(read) > shown_so_far(most[name]):
                since = now()
            most[name] = max(most[name], read, key=shown_so_far)
        shown = all(0.99 * count <= shown_so_far(most[name]) for name, count in SENT.items())
        return shown and now() - since >= stable_s

    scenario.until(
        all_shown,
        "the traffic shows in TrafficMetrics",
        within_s=scenario.profile.metrics.delay_s + stable_s,
    )
    shown = edges(scenario)
    again = held(scenario, due_at, certain_until())
    succeeded, failed, *_ = sent
    return Shown(Load(succeeded, failed, BURST_S), most, shown, again)


def held(scenario: Scenario, due_at: float, until: float) -> tuple[ApiRead, ...]:
    """What mid shows over the stable window, as long as its window is certain to hold all of the load.

    Where that is long enough, not before everything is due: until then one of several servers may be behind.
    """
    now, stable_s = scenario.waiter.clock.now, scenario.profile.converge.stable_s
    if due_at + stable_s <= until:
        scenario.until(lambda: now() >= due_at, "everything is due to be shown", within_s=until - now())
    end = now() + stable_s
    reads: list[ApiRead] = []

    def over() -> bool:
        read = scenario.reader.metrics(scenario.arena.namespace("metrics"), "deployments", "mid")
        if now() <= until:
            reads.append(read)
        return now() >= end

    scenario.until(over, "what is shown stays", within_s=2 * stable_s)
    return tuple(reads)


def sustained(scenario: Scenario) -> Shown:
    """Drive the same at a constant rate until it fills the window, and read under this load.

    What is computed from samples now and then, as Prometheus' ``increase()`` is, is right only then: it
    stretches a burst by the length of the window against the time between the samples in it (30 s with a
    sample each 10 s: by 1.5), and loses what a new series begins with.
    """
    clock, limit = scenario.waiter.clock, scenario.profile.metrics.delay_s
    start = clock.now()
    loads = [
        scenario.driver.start(
            replace(call, requests=CONCURRENCY),
            SendOptions(concurrency=CONCURRENCY),
            rate_per_s=call.requests / SUSTAINED_S,
            duration_s=LONGEST_S,
        )
        for call in calls(scenario)
    ]
    scenario.until(
        lambda: shown_so_far(totals(scenario)["mid"]) > 0,
        "the traffic shows in TrafficMetrics",
        within_s=limit,
    )
    filled_s = shown_window_s(totals(scenario)["mid"]) + limit
    scenario.until(
        lambda: clock.now() - start >= filled_s, "a steady load has filled the window", within_s=filled_s
    )
    reads, shown = totals(scenario), edges(scenario)
    seconds = clock.now() - start
    succeeded, failed, *_ = [load.stop(ledgers=["metrics/mid"]) for load in loads]
    return Shown(Load(succeeded, failed, seconds), reads, shown)


def calls(scenario: Scenario) -> list[Call]:
    """Both links of the chain: mid answers with successes and failures, server with delays."""
    mid = [
        scenario.call("metrics/client", "metrics/mid", requests=SUCCEEDED),
        scenario.call("metrics/client", "metrics/mid", requests=FAILED, headers={"x-probe-status": "500"}),
    ]
    server = [
        scenario.call(
            "metrics/mid", "metrics/server", requests=count, headers={"x-probe-delay-ms": str(delay_ms)}
        )
        for count, delay_ms in zip((AT_ONCE, DELAYED, SLOW), (0, *DELAYS_MS), strict=True)
    ]
    return [*mid, *server]


def totals(scenario: Scenario) -> dict[str, ApiRead]:
    namespace = scenario.arena.namespace("metrics")
    return {name: scenario.reader.metrics(namespace, "deployments", name) for name in CALLED}


def edges(scenario: Scenario) -> dict[str, ApiRead]:
    namespace = scenario.arena.namespace("metrics")
    read = scenario.reader.metrics
    return {name: read(namespace, "deployments", name, edges=True) for name in CHAIN}


@pytest.mark.requirement("metrics-discovery", presumes=("metrics-apiservice",))
def test_discovery_lists_the_kinds_with_verbs_and_scope(chain: Chain, verdict: Conclude) -> None:
    verdict(judge.discovery(chain.discovery, chain.offered))


@pytest.mark.requirement("metrics-object-fields", presumes=("metrics-apiservice",))
def test_objects_carry_all_fields_and_the_five_metrics(chain: Chain, verdict: Conclude) -> None:
    # Not the client, whom nobody calls: whether an object without traffic is shown at all is left open.
    shown = chain.shown
    verdict(judge.object_fields([*shown.reads.values(), *shown.edges.values(), chain.listed]))


@pytest.mark.requirement("metrics-edges-subresource", presumes=("metrics-apiservice",))
def test_the_edges_of_an_object_name_it_and_its_peers(chain: Chain, verdict: Conclude) -> None:
    verdict(
        judge.traffic_edges(
            {"mid": chain.edges_before["mid"]},
            {"mid": chain.shown.edges["mid"]},
            CALLS,
            chain.namespace,
            aliases=chain.aliases,
            addressed=chain.single_edge,
        )
    )


@pytest.mark.requirement("metrics-edge-direction", presumes=("metrics-apiservice",))
def test_to_and_from_tell_who_called_whom(chain: Chain, verdict: Conclude) -> None:
    verdict(
        judge.traffic_edges(
            chain.edges_before, chain.shown.edges, CALLS, chain.namespace, ["idle"], aliases=chain.aliases
        )
    )


@pytest.mark.requirement("metrics-counts", presumes=("metrics-apiservice",))
def test_counts_are_the_requests_of_the_window(chain: Chain, verdict: Conclude) -> None:
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
def test_percentiles_lie_where_the_delays_put_them(chain: Chain, verdict: Conclude) -> None:
    verdict(judge.percentiles(chain.shown.reads["server"], EXPECTED_MS, chain.baseline["server"]))

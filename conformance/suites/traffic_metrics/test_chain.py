"""What a chain of calls shows in TrafficMetrics: client calls mid, mid calls server, nobody calls idle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from conformance import judge
from conformance.drive.reading import METRICS
from conformance.drive.scenario import Scenario
from conformance.drive.traffic import Manner
from conformance.evidence import ApiRead
from conformance.judge.figures import Malformed, one
from conformance.judge.metrics import shown_total
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario("traffic-metrics/chain", arena=("metrics",), groups=("metrics",))

SUCCEEDED, FAILED = 300, 100
AT_ONCE, DELAYED, SLOW = 320, 60, 20
DELAY_MS, LONG_DELAY_MS = 150, 800
"""80 % at once, 15 % after the delay and 5 % after the long one.

Most meshes know latencies by the buckets of a histogram only, in which Prometheus' ``histogram_quantile()``
interpolates: what lies just above an edge is reported anywhere up to the next. The delays lie well inside the
buckets of all of these (in ms):

* Linkerd: 100, 200, 300; 500, 1000, 2000 (linkerd2-proxy, ``latency::BOUNDS``),
* Envoy, so Istio, Open Service Mesh, Consul, Kuma: 100, 250; 500, 1000, 2500 (``defaultBuckets()``),
* Traefik: 100, 300, 1200 (its default ``buckets``),
* Prometheus' clients: 100, 250; 500, 1000, 2500 (``DefBuckets``), OpenTelemetry: the same and 750.
"""
EXPECTED_MS = {"p50": (0.0, 150.0), "p90": (100.0, 400.0), "p99": (500.0, 1500.0)}
"""Where these delays put the percentiles.

The median's bucket ends at 100 ms at the latest. The buckets of the delay reach from 100 to 300 ms, those of
the long one from 300 to 1,200 ms; the 99th percentile lies at four fifths of the way through those, at 800 to
1,020 ms. What is left above is for the network, what is left below for series that lost some requests. The
mean is about 65 ms, which neither the 90th nor the 99th percentile may be.
"""
CHAIN = ("client", "mid", "server")


@dataclass(frozen=True)
class Chain:
    before: dict[str, ApiRead]
    reads: dict[str, ApiRead]
    edges_before: dict[str, ApiRead]
    edges: dict[str, ApiRead]
    listed: ApiRead
    single_edge: ApiRead
    discovery: ApiRead
    offered: list[ApiRead]
    aliases: dict[str, str]
    seconds: float
    later: ApiRead


@pytest.fixture(scope="module")
def chain(scenario: Scenario) -> Chain:
    namespace = scenario.arena.namespace("metrics")
    reader = scenario.reader

    def totals() -> dict[str, ApiRead]:
        return {name: reader.metrics(namespace, "deployments", name) for name in CHAIN}

    def edges() -> dict[str, ApiRead]:
        return {name: reader.metrics(namespace, "deployments", name, edges=True) for name in CHAIN}

    limit = scenario.profile.metrics.delay_s
    # Traffic of an earlier run on these workloads would be counted with ours.
    scenario.until(
        lambda: not any(total(one) for one in totals().values()),
        "earlier traffic has left the window",
        within_s=window_s(totals()["mid"]) + limit,
    )
    before, edges_before = totals(), edges()
    start = scenario.waiter.clock.now()
    drive(scenario)
    wanted = {"mid": SUCCEEDED + FAILED, "server": AT_ONCE + DELAYED + SLOW}
    scenario.until(
        lambda: all(
            0.99 * count <= total(reader.metrics(namespace, "deployments", name))
            for name, count in wanted.items()
        ),
        "the traffic shows in TrafficMetrics",
        within_s=limit,
    )
    reads, shown = totals(), edges()
    seconds = scenario.waiter.clock.now() - start
    discovery = reader.read(METRICS)
    offered = [reader.metrics(namespace, kind) for kind in ("pods", "deployments")]
    listed = reader.metrics(namespace, "deployments")
    single_edge = reader.read(f"{METRICS}/namespaces/{namespace}/deployments/mid/edges/server")
    forgotten = window_s(reads["mid"]) + limit
    scenario.until(
        lambda: total(reader.metrics(namespace, "deployments", "mid")) == 0,
        "the window has passed and the counts with it",
        within_s=forgotten,
    )
    return Chain(
        before=before,
        reads=reads,
        edges_before=edges_before,
        edges=shown,
        listed=listed,
        single_edge=single_edge,
        discovery=discovery,
        offered=offered,
        aliases={scenario.arena.pod(f"metrics/{name}").name: name for name in (*CHAIN, "idle")},
        seconds=seconds,
        later=reader.metrics(namespace, "deployments", "mid"),
    )


def drive(scenario: Scenario) -> None:
    """Both links of the chain at once: mid answers with successes and failures, server with delays."""
    mid = [
        scenario.call("metrics/client", "metrics/mid", requests=SUCCEEDED),
        scenario.call("metrics/client", "metrics/mid", requests=FAILED, headers={"x-probe-status": "500"}),
    ]
    server = [
        scenario.call(
            "metrics/mid", "metrics/server", requests=count, headers={"x-probe-delay-ms": str(delay_ms)}
        )
        for count, delay_ms in ((AT_ONCE, 0), (DELAYED, DELAY_MS), (SLOW, LONG_DELAY_MS))
    ]
    scenario.send(*mid, *server, servers=["metrics/mid", "metrics/server"], manner=Manner(concurrency=16))


def total(read: ApiRead) -> float:
    """Requests that an answer shows; none where it cannot be read, so that waiting goes on."""
    try:
        return shown_total(read)
    except Malformed:
        return 0.0


def window_s(read: ApiRead) -> float:
    """The window of an answer, for how long to wait; if it has none 30 s, as the specification shows."""
    try:
        return one(read).window_s
    except Malformed:
        return 30.0


@pytest.mark.requirement("metrics-discovery")
def test_discovery_lists_the_kinds_with_verbs_and_scope(
    chain: Chain, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.discovery(chain.discovery, chain.offered))


@pytest.mark.requirement("metrics-object-fields")
def test_objects_carry_all_fields_and_the_five_metrics(
    chain: Chain, verdict: Callable[[Judgement], None]
) -> None:
    # Nobody calls the client: whether an object without traffic is shown at all is left open.
    called = [read for name, read in chain.reads.items() if name != "client"]
    verdict(judge.object_fields([*called, *chain.edges.values(), chain.listed]))


@pytest.mark.requirement("metrics-edges-subresource")
def test_the_edges_of_an_object_name_it_and_its_peers(
    chain: Chain, verdict: Callable[[Judgement], None]
) -> None:
    verdict(
        judge.edges(
            {"mid": chain.edges_before["mid"]},
            {"mid": chain.edges["mid"]},
            [("client", "mid"), ("mid", "server")],
            aliases=chain.aliases,
            addressed=chain.single_edge,
        )
    )


@pytest.mark.requirement("metrics-edge-direction")
def test_to_and_from_tell_who_called_whom(chain: Chain, verdict: Callable[[Judgement], None]) -> None:
    calls = [("client", "mid"), ("mid", "server")]
    verdict(judge.edges(chain.edges_before, chain.edges, calls, ["idle"], chain.aliases))


@pytest.mark.requirement("metrics-counts")
def test_counts_are_the_requests_of_the_window(chain: Chain, verdict: Callable[[Judgement], None]) -> None:
    verdict(
        judge.counts(chain.before["mid"], chain.reads["mid"], chain.later, SUCCEEDED, FAILED, chain.seconds)
    )


@pytest.mark.requirement("metrics-latency-percentiles")
def test_percentiles_lie_where_the_delays_put_them(
    chain: Chain, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.percentiles(chain.reads["server"], EXPECTED_MS, chain.before["server"]))

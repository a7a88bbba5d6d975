"""A known load on the chain of sample workloads, and what TrafficMetrics shows of it.

In the arena's part ``metrics``, client calls mid, mid calls server, and idle gets no calls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from conformance.drive.scenario import Scenario
from conformance.drive.traffic import PATIENT_S, SendOptions
from conformance.judge.histograms import DELAYS_MS
from conformance.judge.metrics import shown_so_far, shown_window_s
from conformance.model.evidence import ApiRead, Call, Traffic

CHAIN_CALLED = ("mid", "server")
CHAIN = ("client", *CHAIN_CALLED)
CHAIN_CALLS = (("client", "mid"), ("mid", "server"))
SUCCEEDED, FAILED = 300, 100
AT_ONCE, DELAYED, SLOW = 320, 60, 20
"""Requests answered at once, after the first of DELAYS_MS and after the second: 80, 15 and 5 %, see
EXPECTED_MS."""
SENT = {"mid": SUCCEEDED + FAILED, "server": AT_ONCE + DELAYED + SLOW}
CONCURRENCY = 16
BURST_S = 2.0
"""Seconds of a burst: short against any window."""
CERTAIN = 0.9
"""The part of a window that surely holds a burst: its edge is as sharp as the collector's interval."""
SUSTAINED_S = 10.0
"""Seconds over which a sustained load spreads the same requests: thirty successes a second."""
LONGEST_S = 300.0
"""Seconds after which a sustained load ends by itself, whatever the window."""


@dataclass(frozen=True)
class ChainLoad:
    """The traffic to mid, at a constant rate, and its seconds."""

    succeeded: Traffic
    failed: Traffic
    seconds: float


@dataclass(frozen=True)
class ShownLoad:
    """A load, and the metrics that show it; ``again`` are later reads of mid."""

    load: ChainLoad
    reads: dict[str, ApiRead]
    edges: dict[str, ApiRead]
    again: tuple[ApiRead, ...] = ()


def chain_totals(scenario: Scenario) -> dict[str, ApiRead]:
    """The metrics of the called deployments."""
    namespace = scenario.arena.namespace("metrics")
    return {name: scenario.reader.metrics(namespace, "deployments", name) for name in CHAIN_CALLED}


def chain_edges(scenario: Scenario) -> dict[str, ApiRead]:
    """The edges of all deployments of the chain."""
    namespace, read = scenario.arena.namespace("metrics"), scenario.reader.metrics
    return {name: read(namespace, "deployments", name, edges=True) for name in CHAIN}


def wait_until_unloaded(scenario: Scenario) -> None:
    """Wait until earlier traffic of these workloads has left the window: it would be counted with the load.

    Edges may come from the other end of a call, whose window lasts a moment longer.
    """
    scenario.until(
        lambda: (
            not any(
                shown_so_far(one) for read in (chain_totals, chain_edges) for one in read(scenario).values()
            )
        ),
        "earlier traffic has left the window",
        within_s=shown_window_s(chain_totals(scenario)["mid"]) + scenario.profile.metrics.delay_s,
    )


def wait_until_forgotten(scenario: Scenario, shown: ShownLoad) -> ApiRead:
    """Wait until the window has passed since a load; returns the last read of mid."""
    namespace, read = scenario.arena.namespace("metrics"), scenario.reader.metrics
    scenario.until(
        lambda: shown_so_far(read(namespace, "deployments", "mid")) == 0,
        "the window has passed and the counts with it",
        within_s=shown_window_s(shown.reads["mid"]) + scenario.profile.metrics.delay_s,
    )
    return read(namespace, "deployments", "mid")


def drive_load(scenario: Scenario) -> ShownLoad:
    """Drive a load in the form that the profile's metrics count exactly."""
    return _sustained(scenario) if scenario.profile.metrics.sampled else burst(scenario)


def burst(scenario: Scenario) -> ShownLoad:
    """Drive a short load, read each object once most of it shows and no more comes, and go on reading.

    The largest count is kept: a window slides, and overcounting shows there first. The later reads must show
    the load for as long as the window holds it, not now and then.
    """
    options = SendOptions(concurrency=CONCURRENCY, duration_s=BURST_S, timeout_s=PATIENT_S)
    now, stable_s = scenario.waiter.clock.now, scenario.profile.converge.stable_s
    began = now()
    sent = scenario.send(*_calls(scenario), servers=["metrics/mid", "metrics/server"], options=options)
    due_at = now() + scenario.profile.metrics.delay_s
    most = chain_totals(scenario)
    since = now()

    def certain_until() -> float:
        return began + CERTAIN * shown_window_s(most["mid"])

    def all_shown() -> bool:
        nonlocal since
        for name, read in chain_totals(scenario).items():
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
    edges = chain_edges(scenario)
    again = _read_again(scenario, due_at, certain_until())
    succeeded, failed, *_ = sent
    return ShownLoad(ChainLoad(succeeded, failed, BURST_S), most, edges, again)


def _read_again(scenario: Scenario, due_at: float, until: float) -> tuple[ApiRead, ...]:
    """Reads of mid over the stable window, while its own window is certain to hold all of the load.

    If that is long enough, only once everything is due: until then one of several servers may lag behind.
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


def _sustained(scenario: Scenario) -> ShownLoad:
    """Drive the same at a constant rate until it fills the window, and read under this load.

    Metrics computed from periodic samples, as Prometheus' ``increase()`` is, are exact only then: it
    stretches a burst by the length of the window over the time between the first and last sample in it (30 s
    with a sample each 10 s: by 1.5), and loses the first value of a new series.
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
        for call in _calls(scenario)
    ]
    scenario.until(
        lambda: shown_so_far(chain_totals(scenario)["mid"]) > 0,
        "the traffic shows in TrafficMetrics",
        within_s=limit,
    )
    filled_s = shown_window_s(chain_totals(scenario)["mid"]) + limit
    scenario.until(
        lambda: clock.now() - start >= filled_s, "a steady load has filled the window", within_s=filled_s
    )
    reads, edges = chain_totals(scenario), chain_edges(scenario)
    seconds = clock.now() - start
    succeeded, failed, *_ = [load.stop(ledgers=["metrics/mid"]) for load in loads]
    return ShownLoad(ChainLoad(succeeded, failed, seconds), reads, edges)


def _calls(scenario: Scenario) -> list[Call]:
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

"""Half-way through a rollout the counts by backend show that the new version fails and the old does not."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from conformance.suite import (
    ApiRead,
    Conclude,
    Scenario,
    SendOptions,
    Traffic,
    drives_scenario,
    judge,
    shown_so_far,
    shown_window_s,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/canary-metrics",
    arena=("metrics",),
    groups=("metrics", "split"),
    presumes=("metrics-apiservice", "metrics-counts"),
)

OLD, NEW = "mid", "server"
SERVERS = [f"metrics/{OLD}", f"metrics/{NEW}"]
RATES = {OLD: 0.0, NEW: 0.5}
"""Every second request asks the new version, and no other, to fail."""
FAILING = {"x-probe-status": "500", "x-probe-at": NEW}
RATE_PER_S = 150.0
ENOUGH = 400
"""Requests shown of each backend: the rate of so many is off by ten points once in 15,000 times."""


@dataclass(frozen=True)
class Rolled:
    """The metrics of each backend before and under traffic of which half must fail at the new version."""

    baseline: dict[str, ApiRead]
    reads: dict[str, ApiRead]
    traffic: list[Traffic]


@drives_scenario
def rolled(scenario: Scenario) -> Rolled:
    scenario.create_services()
    delay_s = scenario.profile.metrics.delay_s
    seen = reads(scenario)
    window_s = max(shown_window_s(one) for one in seen.values())
    scenario.until(
        lambda: not any(shown_so_far(one) for one in reads(scenario).values()),
        "earlier traffic has left the window",
        within_s=window_s + delay_s,
    )
    baseline = reads(scenario)
    scenario.apply("split.yaml")
    # Until the split is in force the old version answers all requests without failure: same rates.
    within_s = scenario.profile.converge.within_s + window_s + delay_s
    calls = [
        scenario.call("metrics/client", "metrics/rolled", headers=headers, requests=ENOUGH)
        for headers in ({}, FAILING)
    ]
    with ExitStack() as stack:
        loads = [
            stack.enter_context(
                scenario.driver.start(
                    call,
                    SendOptions(),
                    rate_per_s=RATE_PER_S,
                    duration_s=scenario.background_duration_s(0, within_s),
                )
            )
            for call in calls
        ]

        def enough() -> bool:
            nonlocal seen
            seen = reads(scenario)
            return all(shown_so_far(one) >= ENOUGH for one in seen.values())

        scenario.until(enough, "the traffic of both backends shows in TrafficMetrics", within_s=within_s)
        traffic = [load.stop(ledgers=SERVERS) for load in loads]
    return Rolled(baseline, seen, traffic)


def reads(scenario: Scenario) -> dict[str, ApiRead]:
    namespace = scenario.arena.namespace("metrics")
    return {name: scenario.reader.metrics(namespace, "deployments", name) for name in (OLD, NEW)}


@pytest.mark.requirement("interact-canary-rollout")
def test_the_counts_by_backend_show_that_the_new_version_fails(rolled: Rolled, verdict: Conclude) -> None:
    verdict(judge.error_rates(rolled.baseline, rolled.reads, RATES, rolled.traffic))

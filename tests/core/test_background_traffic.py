"""Steady traffic as the scenarios send it while they change something, against a cluster in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from conformance.drive.arena import READY_WITHIN_S
from conformance.probe.plan import MAX_DURATION_S

from .conftest import PROFILE, Bench

CANARY, EDITS = "traffic_split/test_canary.py", "traffic_split/test_live_edits.py"
FLOODED, TURNING = "traffic_split/test_weights_are_relative.py", "common/test_convergence.py"
LONGEST_WITHIN_S = 600


@pytest.fixture
def started(bench: Bench) -> list[Mapping[str, Any]]:
    """The batches of steady traffic that were started, in their order."""
    found: list[Mapping[str, Any]] = []

    def note(pod: str, request: Mapping[str, Any]) -> None:
        if request["op"] == "start":
            # Not the control request, which goes on beside it.
            found.extend(one for one in request["plan"]["batches"] if one.get("until") != "others")

    bench.cluster.on_ask = note
    return found


def test_a_rollout_is_watched_on_kept_connections_and_on_new_ones(
    bench: Bench, started: list[Mapping[str, Any]]
) -> None:
    assert bench.suite(CANARY) == 0
    assert [batch["connections"] for batch in started] == ["reuse", "fresh"] * 5


def test_a_retirement_is_watched_on_many_connections_of_both_kinds(
    bench: Bench, started: list[Mapping[str, Any]]
) -> None:
    assert bench.suite(EDITS) == 0
    assert [(batch["connections"], batch["concurrency"]) for batch in started] == [
        ("reuse", 32),
        ("fresh", 32),
    ]


def test_a_flood_has_many_requests_under_way_which_are_held(
    bench: Bench, started: list[Mapping[str, Any]]
) -> None:
    assert bench.suite(FLOODED) == 0
    (flood,) = started
    held_s = float(flood["headers"]["x-probe-delay-ms"]) / 1000
    assert 20 < flood["rate_per_s"] * held_s < flood["concurrency"]


def test_what_is_seen_beside_a_flood_says_nothing_once_the_flood_has_ended(bench: Bench) -> None:
    bench.cluster.mesh.endures = False
    assert bench.suite(FLOODED) == 2
    assert bench.outcome("split-per-client-ratio") == "inconclusive"
    assert bench.outcome("split-weights-are-relative") == "pass"


def test_a_ratio_is_judged_of_each_of_two_clients_of_one_root(bench: Bench) -> None:
    assert bench.suite(FLOODED) == 0
    (test,) = bench.record("split-per-client-ratio").tests
    samples = [one.value.call for one in test.evidence if one.name.endswith("sample")]
    assert [call.client for call in samples] == ["main/client", "main/client-b"]
    assert len({call.host for call in samples}) == 1


@pytest.mark.parametrize("suite", [CANARY, EDITS, FLOODED, TURNING])
def test_lasts_until_what_it_watches_must_have_shown(
    bench: Bench, started: list[Mapping[str, Any]], suite: str
) -> None:
    slowest = PROFILE.replace("within_s: 3", f"within_s: {LONGEST_WITHIN_S}")
    bench.profile.write_text(slowest, encoding="utf-8")
    bench.suite(suite)
    assert started
    assert all(LONGEST_WITHIN_S < batch["duration_s"] < MAX_DURATION_S for batch in started)


def test_lasts_beyond_the_making_of_a_pod(bench: Bench, started: list[Mapping[str, Any]]) -> None:
    bench.suite(CANARY)
    durations = [batch["duration_s"] for batch in started]
    assert min(durations[:2]) > READY_WITHIN_S > max(durations[2:])

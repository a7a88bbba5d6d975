"""A split some of whose backends its caller is not granted."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Conclude,
    Scenario,
    SplitTrials,
    TrialRegister,
    answered,
    drives_scenario,
    finding,
    judge,
    refused,
    unanswered,
)

pytestmark = pytest.mark.scenario(
    "common/partial-authorisation", arena=("access",), groups=("split", "access", "specs"), alone=True
)

trials = TrialRegister(
    ["access/server", "access/other", "access/third", "access/beta"], {"client": "access/alpha"}
)


@drives_scenario
def seen(scenario: Scenario) -> SplitTrials:
    scenario.create_services()
    return trials.run_beside_split(
        scenario,
        scenario.call("access/alpha", "access/permitted", requests=200),
        {"server": "1-permitted.yaml", "beta": "3-permitted.yaml"},
        lambda effect: judge.root_served_by_backends(effect, {"server": 1}),
        unreachable_before=True,
        files=["2-halved.yaml"],
    )


OPENED = "a backend is reached that the caller is not granted"
# The account behind the root is granted as well: without the split the root answers.
HALVED = trials.declare(
    "halved",
    "split with a backend that is not granted",
    (answered("a", "server", failing=True), unanswered("b"), refused("b"), answered("c", "server")),
    findings=[
        finding(OPENED, "server", "other"),
        finding(OPENED, "server", "other", failing=True),
        finding(OPENED, "other"),
        finding(OPENED, "other", failing=True),
    ],
    baseline_responders=("third",),
    isolated=True,
)


@pytest.mark.requirement("interact-split-partial-authorisation")
def test_the_share_of_a_backend_without_a_grant_follows_a_reading(
    seen: SplitTrials, verdict: Conclude
) -> None:
    verdict(seen.reading(HALVED))

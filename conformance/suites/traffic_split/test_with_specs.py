"""A split follows route groups of the specs version that belongs to its own version."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import Conclude, Effect, ExpectedResponders, Scenario, Traffic, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-split/with-specs",
    arena=("main",),
    groups=("split", "specs"),
    every_version=True,
    presumes=("split-single-backend", "split-schema-v1alpha3-v1alpha4", "http-schema-by-version"),
)


@dataclass(frozen=True)
class Requests:
    testers: Effect
    others: Traffic


@drives_scenario
def tested(scenario: Scenario) -> Requests:
    scenario.create_services()
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    sent = {"x-tester": "yes"}
    testers = scenario.call("main/client", "main/tested", requests=400, headers=sent)
    (effect,) = scenario.apply_and_sample(
        [ExpectedResponders(testers, frozenset({"v2"}))], "split.yaml", servers=servers
    )
    (others,) = scenario.send(scenario.call("main/client", "main/tested", requests=400), servers=servers)
    return Requests(effect, others)


@pytest.mark.requirement("common-version-compat-matrix")
def test_a_split_takes_the_requests_that_match_its_group_and_no_others(
    tested: Requests, verdict: Conclude
) -> None:
    in_force = judge.everything_reaches(tested.testers, "v2")
    verdict(judge.all_of(testers=in_force, others=judge.preserved(in_force, tested.others, "v1")))

"""A split without matches is for all requests, whatever route groups share its name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import Conclude, Effect, ExpectedResponders, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("traffic-specs/inert-split", arena=("main",), groups=("split", "specs"))

SERVERS = ["main/v1", "main/v2", "main/v3"]
FEW = 200


@dataclass(frozen=True)
class Taken:
    """The split without matches before and beside the groups; ``seen`` shows that the groups are taken up."""

    alone: Effect
    seen: Effect
    beside: Effect


@drives_scenario
def taken(scenario: Scenario) -> Taken:
    scenario.create_services()
    all_requests, some = (
        ExpectedResponders(scenario.call("main/client", f"main/{root}", requests=FEW), frozenset({server}))
        for root, server in (("for-all", "v2"), ("on-condition", "v3"))
    )
    (alone,) = scenario.apply_and_sample([all_requests], "1-split.yaml", servers=SERVERS)
    (seen,) = scenario.apply_and_sample([some], "2-groups.yaml", servers=SERVERS)
    (beside,) = scenario.sample_once_converged([all_requests], [alone.baseline], SERVERS)
    return Taken(alone, seen, beside)


@pytest.mark.requirement("http-group-inert-alone")
def test_groups_of_no_split_change_no_distribution(taken: Taken, verdict: Conclude) -> None:
    alone = judge.everything_reaches(taken.alone, "v2")
    seen = judge.everything_reaches(taken.seen, "v3")
    beside = judge.everything_reaches(taken.beside, "v2")
    verdict(judge.conditional_on(judge.all_of(alone=alone, seen=seen), beside, "no distribution to change"))

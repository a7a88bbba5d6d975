"""Targets and route groups of one name in two namespaces: the grants of one hold whatever the other does."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "common/twin-targets", arena=("access", "peer", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "outside/outsider")
CALLS = {
    "granted here": ("alpha", "/home"),
    "granted there": ("alpha", "/abroad"),
    "third": ("beta", "/third"),
    "fourth": ("gamma", "/fourth"),
}


@dataclass(frozen=True)
class Steps:
    """Access under both, after an edit of those elsewhere, and after their deletion."""

    both: AccessTable
    edited: AccessTable
    deleted: AccessTable


def checks(scenario: Scenario, *granted: str) -> list[AccessCheck]:
    """Every call, some of them granted; control calls show that the others are possible at all."""
    return [
        scenario.access_check(name, f"access/{client}", "access/server", granted=name in granted, path=path)
        for name, (client, path) in CALLS.items()
    ]


@drives_scenario
def steps(scenario: Scenario) -> Steps:
    # Checked as granted, which waits until grants of an earlier scenario are gone.
    baseline = scenario.baseline(checks(scenario, *CALLS), SERVERS)
    scenario.apply("1-theirs.yaml")
    wanted = ["granted here"]
    both = scenario.access(checks(scenario, *wanted), "2-ours.yaml", servers=SERVERS, baseline=baseline)
    # Each later grant shows that the change elsewhere has been taken up.
    wanted.append("third")
    edited = scenario.access(
        checks(scenario, *wanted), "3-theirs-edited.yaml", servers=SERVERS, baseline=baseline
    )
    scenario.delete("1-theirs.yaml")
    wanted.append("fourth")
    deleted = scenario.access(checks(scenario, *wanted), "4-after.yaml", servers=SERVERS, baseline=baseline)
    return Steps(both, edited, deleted)


@pytest.mark.requirement("common-crds-are-namespaced")
def test_targets_of_one_name_in_two_namespaces_hold_side_by_side(steps: Steps, verdict: Conclude) -> None:
    verdict(
        judge.all_of(
            both=judge.access_enforced(steps.both),
            edited=judge.access_enforced(steps.edited),
            deleted=judge.access_enforced(steps.deleted),
        )
    )

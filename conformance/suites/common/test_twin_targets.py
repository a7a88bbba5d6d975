"""Targets and route groups of one name in two namespaces are two of each: what is granted here stays so."""

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
    """What may be called with both, when theirs are the newest, and when theirs are gone."""

    both: AccessTable
    edited: AccessTable
    deleted: AccessTable


def asks(scenario: Scenario, *granted: str) -> list[AccessCheck]:
    """Every call, some of them granted; the twin shows that the others could be made at all."""
    return [
        scenario.access_check(name, f"access/{client}", "access/server", granted=name in granted, path=path)
        for name, (client, path) in CALLS.items()
    ]


@drives_scenario
def steps(scenario: Scenario) -> Steps:
    # Asked as granted, so that the grants of an earlier scenario are waited out.
    baseline = scenario.baseline(asks(scenario, *CALLS), SERVERS)
    scenario.apply("1-theirs.yaml")
    wanted = ["granted here"]
    both = scenario.access(asks(scenario, *wanted), "2-ours.yaml", servers=SERVERS, baseline=baseline)
    # Each of the later grants shows that what was done to theirs has been taken up.
    wanted.append("third")
    edited = scenario.access(
        asks(scenario, *wanted), "3-theirs-edited.yaml", servers=SERVERS, baseline=baseline
    )
    scenario.delete("1-theirs.yaml")
    wanted.append("fourth")
    deleted = scenario.access(asks(scenario, *wanted), "4-after.yaml", servers=SERVERS, baseline=baseline)
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

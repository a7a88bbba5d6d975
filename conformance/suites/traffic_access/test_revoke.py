"""Narrowing or deleting a target withdraws its grants, and those of no other target."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/revoke",
    arena=("access", "outside"),
    groups=("access", "specs"),
    presumes=("access-only-listed-sources", "access-additive-union", "access-additive-overlapping-routes"),
)

SERVERS = ("access/server", "access/other", "outside/outsider")
CALLS = {
    "alpha": ("alpha", "server", "/"),
    "beta": ("beta", "server", "/"),
    "gamma": ("gamma", "server", "/"),
    "the first rule": ("alpha", "other", "/one"),
    "the second rule": ("alpha", "other", "/two"),
    "the first match name": ("alpha", "other", "/a"),
    "the second match name": ("alpha", "other", "/b"),
}
NARROWED = ("alpha", "gamma", "the first rule", "the first match name")


def checks(scenario: Scenario, *granted: str) -> list[AccessCheck]:
    """Every call, some of them granted; control calls show that the others are possible at all."""
    return [
        scenario.access_check(
            name, f"access/{client}", f"access/{server}", granted=name in granted, path=path
        )
        for name, (client, server, path) in CALLS.items()
    ]


@drives_scenario
def steps(scenario: Scenario) -> list[AccessTable]:
    # Checked as granted, which waits until grants of an earlier scenario are gone.
    baseline = scenario.baseline(checks(scenario, *CALLS), SERVERS)
    everything = scenario.access(checks(scenario, *CALLS), "1-all.yaml", servers=SERVERS, baseline=baseline)
    narrowed = scenario.access(
        checks(scenario, *NARROWED), "2-narrowed.yaml", servers=SERVERS, baseline=baseline
    )
    scenario.delete("2-narrowed.yaml")
    deleted = scenario.table(checks(scenario, "gamma"), baseline, SERVERS)
    return [everything, narrowed, deleted]


@pytest.mark.requirement("access-delete-and-narrow-revoke")
def test_narrowing_and_deleting_withdraw_exactly_those_grants(
    steps: list[AccessTable], verdict: Conclude
) -> None:
    everything, narrowed, deleted = steps
    verdict(
        judge.all_of(
            everything=judge.access_enforced(everything),
            narrowed=judge.access_enforced(narrowed),
            deleted=judge.access_enforced(deleted),
        )
    )

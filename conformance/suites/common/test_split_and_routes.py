"""Splits and targets with routes: each is created, edited and deleted while the workloads run on.

Clients and servers are the same pods throughout; a recreated pod could not be driven or read.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "common/split-and-routes",
    arena=("access", "outside"),
    groups=("split", "access", "specs"),
    presumes=(
        "split-schema-v1alpha3-v1alpha4",
        "http-omitted-path-and-methods",
        "interact-split-access-on-backend-identity",
    ),
)

CLIENT = "access/alpha"
SERVERS = ("access/server", "access/other", "outside/outsider")
BETA, GAMMA = {"x-beta": "yes"}, {"x-gamma": "yes"}
INNER, OUTER = {"x-ring": "inner"}, {"x-ring": "outer"}
Row = tuple[str, str, dict[str, str], str]
"""The called service, the path, the headers, and the expected responder; none if empty."""

MIXED: dict[str, Row] = {
    "selected and granted": ("mixed", "/api", BETA, "other"),
    "selected and not granted": ("mixed", "/admin", BETA, ""),
    "not selected": ("mixed", "/admin", {}, "server"),
    "selected, but not by the split": ("other", "/admin", BETA, ""),
    "granted, and not selected": ("other", "/api", {}, "other"),
}
SHARED: dict[str, Row] = {
    "the group's through the split": ("ringed", "/x", INNER, "other"),
    "others through the split": ("ringed", "/x", OUTER, "server"),
    "the group's to the backend": ("other", "/x", INNER, "other"),
    "others to the backend": ("other", "/x", OUTER, ""),
}
EDITED: dict[str, Row] = {
    "newly selected and granted": ("mixed", "/next", GAMMA, "other"),
    "newly selected, no longer granted": ("mixed", "/api", GAMMA, ""),
    "no longer selected": ("mixed", "/api", BETA, "server"),
}
SHARED_EDITED: dict[str, Row] = {
    "the group's through the split": ("ringed", "/x", OUTER, "other"),
    "others through the split": ("ringed", "/x", INNER, "server"),
    "the group's to the backend": ("other", "/x", OUTER, "other"),
    "others to the backend": ("other", "/x", INNER, ""),
}
DELETED: dict[str, Row] = {
    "the split is gone": ("mixed", "/next", GAMMA, "server"),
    "the grant is gone": ("other", "/next", {}, ""),
}


@dataclass(frozen=True)
class Steps:
    created: AccessTable
    edited: AccessTable
    deleted: AccessTable


def checks(scenario: Scenario, rows: dict[str, Row]) -> list[AccessCheck]:
    """The checks of a table; without access control, other would answer those that must be denied."""
    return [
        scenario.access_check(
            name,
            CLIENT,
            f"access/{service}",
            granted=bool(server),
            server=server or "other",
            path=path,
            headers=headers,
        )
        for name, (service, path, headers, server) in rows.items()
    ]


@drives_scenario
def steps(scenario: Scenario) -> Steps:
    scenario.create_services()

    tables = [checks(scenario, rows) for rows in (MIXED | SHARED, EDITED | SHARED_EDITED, DELETED)]
    never = [scenario.baseline(table, SERVERS) for table in tables]

    def step(position: int, *files: str) -> AccessTable:
        return scenario.access(tables[position], *files, servers=SERVERS, baseline=never[position])

    created = step(0, "1-created.yaml")
    edited = step(1, "2-edited.yaml")
    scenario.delete("3-withdrawn.yaml")
    return Steps(created, edited, step(2))


@pytest.mark.requirement("interact-split-matches-with-target-routes")
def test_requests_that_a_split_selects_need_a_grant_at_the_backend(steps: Steps, verdict: Conclude) -> None:
    verdict(judge.access_enforced(steps.created.select(*MIXED)))


@pytest.mark.requirement("interact-shared-group")
def test_an_edit_of_a_group_reaches_both_the_split_and_the_target_that_share_it(
    steps: Steps, verdict: Conclude
) -> None:
    verdict(
        judge.all_of(
            created=judge.access_enforced(steps.created.select(*SHARED)),
            edited=judge.access_enforced(steps.edited.select(*SHARED_EDITED)),
        )
    )


@pytest.mark.requirement(
    "common-dynamic-reconfiguration", presumes=("interact-split-matches-with-target-routes",)
)
def test_creation_edits_and_deletion_take_effect_on_running_workloads(
    steps: Steps, verdict: Conclude
) -> None:
    verdict(
        judge.all_of(
            created=judge.access_enforced(steps.created.select(*MIXED)),
            edited=judge.access_enforced(steps.edited.select(*EDITED)),
            deleted=judge.access_enforced(steps.deleted.select(*DELETED)),
        )
    )

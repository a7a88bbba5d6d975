"""Splits and targets that go by routes: each is created, edited and deleted while the workloads run on.

Calls are made from, and ledgers read in, the same pods throughout: one that was made anew could not be asked.
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
"""The service that is called, the path, the headers, and who is to answer; nobody where it is empty."""

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


def asks(scenario: Scenario, rows: dict[str, Row]) -> list[AccessCheck]:
    """The calls of a table; what nobody is to answer would be answered by other."""
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

    tables = [asks(scenario, rows) for rows in (MIXED | SHARED, EDITED | SHARED_EDITED, DELETED)]
    never = [scenario.baseline(table, SERVERS) for table in tables]

    def step(position: int, *files: str) -> AccessTable:
        return scenario.access(tables[position], *files, servers=SERVERS, baseline=never[position])

    created = step(0, "1-created.yaml")
    edited = step(1, "2-edited.yaml")
    scenario.delete("3-withdrawn.yaml")
    return Steps(created, edited, step(2))


@pytest.mark.requirement("interact-split-matches-with-target-routes")
def test_what_the_split_selects_must_be_granted_at_the_backend_as_well(
    steps: Steps, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(steps.created.select(*MIXED)))


@pytest.mark.requirement("interact-shared-group")
def test_an_edit_of_a_group_reaches_the_split_and_the_target_that_share_it(
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
def test_creating_editing_and_deleting_take_effect_on_running_workloads(
    steps: Steps, verdict: Conclude
) -> None:
    verdict(
        judge.all_of(
            created=judge.access_enforced(steps.created.select(*MIXED)),
            edited=judge.access_enforced(steps.edited.select(*EDITED)),
            deleted=judge.access_enforced(steps.deleted.select(*DELETED)),
        )
    )

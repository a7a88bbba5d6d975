"""Narrowing and deleting a target withdraw its grants, and no other target's."""

from __future__ import annotations

import pytest

from conformance.suite import AccessTable, Ask, Conclude, Scenario, driven, judge

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


def asks(scenario: Scenario, *granted: str) -> list[Ask]:
    """Every call, some of them granted; the twin shows that the others could be made at all."""
    return [
        scenario.ask(name, f"access/{client}", f"access/{server}", granted=name in granted, path=path)
        for name, (client, server, path) in CALLS.items()
    ]


@driven
def steps(scenario: Scenario) -> list[AccessTable]:
    # Asked as granted, so that the grants of an earlier scenario are waited out.
    before = scenario.before(asks(scenario, *CALLS), SERVERS)
    everything = scenario.access(asks(scenario, *CALLS), "1-all.yaml", servers=SERVERS, before=before)
    narrowed = scenario.access(asks(scenario, *NARROWED), "2-narrowed.yaml", servers=SERVERS, before=before)
    scenario.delete("2-narrowed.yaml")
    deleted = scenario.table(asks(scenario, "gamma"), before, SERVERS)
    return [everything, narrowed, deleted]


@pytest.mark.requirement("access-delete-and-narrow-revoke")
def test_narrowing_and_deleting_withdraw_exactly_those_grants(
    steps: list[AccessTable], verdict: Conclude
) -> None:
    everything, narrowed, deleted = steps
    verdict(
        judge.all_of(
            everything=judge.access(everything),
            narrowed=judge.access(narrowed),
            deleted=judge.access(deleted),
        )
    )

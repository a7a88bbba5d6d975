"""Narrowing and deleting a target withdraw its grants, and no other target's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance import judge
from conformance.drive.scenario import Ask, Scenario, Table
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-access/revoke", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "outside/outsider")
CLIENTS = ("alpha", "beta", "gamma")


def asks(scenario: Scenario, *granted: str) -> list[Ask]:
    """A call of each client, granted to some; the twin shows that the others could call at all."""
    made = []
    for name in CLIENTS:
        call, twin = (scenario.call(f"access/{name}", host) for host in ("access/server", "outside/outsider"))
        made.append(Ask(name, "granted" if name in granted else "denied", call, "server", twin))
    return made


@pytest.fixture(scope="module")
def steps(scenario: Scenario) -> list[Table]:
    before = scenario.before(asks(scenario), SERVERS)
    all_three = scenario.access(asks(scenario, *CLIENTS), "1-all.yaml", servers=SERVERS, before=before)
    narrowed = scenario.access(
        asks(scenario, "alpha", "gamma"), "2-narrowed.yaml", servers=SERVERS, before=before
    )
    scenario.delete("2-narrowed.yaml")
    deleted = scenario.table(asks(scenario, "gamma"), before, SERVERS)
    return [all_three, narrowed, deleted]


@pytest.mark.requirement("access-delete-and-narrow-revoke")
def test_narrowing_and_deleting_withdraw_exactly_those_grants(
    steps: list[Table], verdict: Callable[[Judgement], None]
) -> None:
    all_three, narrowed, deleted = steps
    verdict(
        judge.all_of(
            all_three=judge.access(*all_three.pick()),
            narrowed=judge.access(*narrowed.pick()),
            deleted=judge.access(*deleted.pick()),
        )
    )

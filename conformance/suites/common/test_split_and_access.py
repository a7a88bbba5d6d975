"""A split does not change access: the grant at the account of the chosen backend decides."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import (
    AccessTable,
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario(
    "common/split-and-access", arena=("access", "outside"), groups=("split", "access", "specs")
)

CLIENT = "access/alpha"
WEIGHTS = {"server": 75, "other": 25}
SERVERS = ["access/server", "access/other", "access/third", "outside/outsider"]


@dataclass(frozen=True)
class Identities:
    """A split with grants at its backends' accounts alone, then a split with a grant at its root's alone.

    ``stranger`` is access of another account through the first split.
    """

    backends: Effect
    stranger: AccessTable
    root: AccessTable


@drives_scenario
def identities(scenario: Scenario) -> Identities:
    scenario.create_services()
    front = scenario.call(CLIENT, "access/front")
    wanted = ExpectedResponders.by_weight(front, WEIGHTS, unreachable_before=True)
    through = "another account through the split"
    stranger = [
        scenario.access_check(through, "access/gamma", "access/front", granted=False, server="server")
    ]
    earlier = scenario.baseline(stranger, SERVERS)
    (backends,) = scenario.apply_and_sample([wanted], "1-backends.yaml", servers=SERVERS)
    denied = scenario.table(stranger, earlier, SERVERS)
    checks = [
        scenario.access_check(
            "the root's pods by another name",
            CLIENT,
            "access/plain-root",
            granted=True,
            server="third",
            control=False,
        ),
        scenario.access_check(
            "the backend through the split", CLIENT, "access/closed", granted=False, server="server"
        ),
    ]
    scenario.delete("1-backends.yaml")
    return Identities(backends, denied, scenario.access(checks, "2-root.yaml", servers=SERVERS))


@pytest.mark.requirement("interact-split-access-on-backend-identity")
def test_a_grant_at_the_account_of_the_backend_decides(identities: Identities, verdict: Conclude) -> None:
    verdict(
        judge.all_of(
            backends_granted=judge.root_served_by_backends(identities.backends, WEIGHTS),
            another_account=judge.access_enforced(identities.stranger),
            root_granted=judge.access_enforced(identities.root),
        )
    )

"""A split does not alter who may call whom: what counts is the account behind the backend that was chosen."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import (
    AccessCheck,
    AccessTable,
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    drives_scenario,
    judge,
    sample_size,
)

pytestmark = pytest.mark.scenario(
    "common/split-and-access", arena=("access", "outside"), groups=("split", "access", "specs")
)

CLIENT = "access/alpha"
WEIGHTS = {"server": 75, "other": 25}
SERVERS = ["access/server", "access/other", "access/third", "outside/outsider"]


@dataclass(frozen=True)
class Identities:
    """A split whose backends' accounts alone are granted, then one whose root's account alone is.

    ``stranger`` is another account than the granted one, which calls the first of them.
    """

    backends: Effect
    stranger: AccessTable
    root: AccessTable


@drives_scenario
def identities(scenario: Scenario) -> Identities:
    scenario.create_services()
    front = scenario.call(CLIENT, "access/front", requests=sample_size(WEIGHTS))
    wanted = ExpectedResponders(front, frozenset(WEIGHTS), unreachable_before=True)
    through = "another account through the split"
    stranger = [
        scenario.access_check(through, "access/gamma", "access/front", granted=False, server="server")
    ]
    earlier = scenario.baseline(stranger, SERVERS)
    (backends,) = scenario.apply_and_sample([wanted], "1-backends.yaml", servers=SERVERS)
    denied = scenario.table(stranger, earlier, SERVERS)
    asks = [
        AccessCheck(
            "the root's pods by another name", "granted", scenario.call(CLIENT, "access/plain-root"), "third"
        ),
        scenario.access_check(
            "the backend through the split", CLIENT, "access/closed", granted=False, server="server"
        ),
    ]
    scenario.delete("1-backends.yaml")
    return Identities(backends, denied, scenario.access(asks, "2-root.yaml", servers=SERVERS))


@pytest.mark.requirement("interact-split-access-on-backend-identity")
def test_the_account_behind_the_backend_is_the_one_that_must_be_granted(
    identities: Identities, verdict: Conclude
) -> None:
    verdict(
        judge.all_of(
            backends_granted=judge.root_served_by_backends(identities.backends, WEIGHTS),
            another_account=judge.access_enforced(identities.stranger),
            root_granted=judge.access_enforced(identities.root),
        )
    )

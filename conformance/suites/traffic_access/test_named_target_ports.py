"""A target opens a server whose service names the port of its pods in place of giving its number."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance import judge
from conformance.drive.scenario import Ask, Scenario, Table
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-access/named-target-ports", arena=("access",), groups=("access", "specs")
)

SERVERS = ("access/beta",)


@driven
def named(scenario: Scenario) -> Table:
    scenario.provide()
    granted, other = (scenario.call(f"access/{client}", "access/by-name") for client in ("alpha", "gamma"))
    asks = [
        Ask("the listed account", "granted", granted, "beta"),
        Ask("another account", "denied", other, "beta"),
    ]
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("common-named-target-ports")
def test_a_target_opens_a_server_behind_a_named_target_port(
    named: Table, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.access(named.pick()))

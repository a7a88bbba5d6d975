"""A TCPRoute without ports stands for all of them, also beside routes that list some."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance import judge
from conformance.drive.scenario import Ask, Scenario, Table
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-specs/ports", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "access/other", "access/beta", "outside/outsider")
ONE, ALL, BESIDE, STRANGER = "one port", "all ports", "all beside one", "nobody's grant"


@driven
def ports(scenario: Scenario) -> Table:
    def ask(name: str, client: str, server: str, port: int, *, granted: bool = True) -> Ask:
        call = scenario.call(f"access/{client}", f"access/raw-{server}", port=port, protocol="tcp")
        twin = scenario.call(f"access/{client}", "outside/outsider", port=9000, protocol="tcp")
        return Ask(f"{name}: {port}", "granted" if granted else "denied", call, server, twin)

    scenario.provide()
    asks = [
        ask(ONE, "alpha", "server", 9000),
        ask(ONE, "alpha", "server", 9001, granted=False),
        ask(ALL, "alpha", "other", 9000),
        ask(ALL, "alpha", "other", 9001),
        ask(STRANGER, "gamma", "other", 9001, granted=False),
        ask(BESIDE, "alpha", "beta", 9000),
        ask(BESIDE, "alpha", "beta", 9001),
    ]
    return scenario.access(asks, "targets.yaml", servers=SERVERS)


@pytest.mark.requirement("l4-empty-ports-match-all")
def test_an_empty_list_of_ports_opens_all_of_them_to_the_listed_source(
    ports: Table, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.access(*ports.pick()))


@pytest.mark.requirement("tcp-portless-covers-all")
def test_a_route_of_a_version_without_ports_is_limited_by_the_target_alone(
    ports: Table, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.access(*ports.pick()))

"""Whatever the client's side does or lacks, the destination refuses who was not granted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from conformance import judge
from conformance.drive.scenario import Ask, Scenario, Table
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-access/enforced-at-server", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "outside/outsider")


@pytest.fixture(scope="module")
def doors(scenario: Scenario) -> Table:
    server, twin = "access/server", "outside/outsider"
    address = scenario.arena.pod(server).ip

    def ask(name: str, client: str, *, host: str | None = None) -> Ask:
        call = scenario.call(client, server)
        granted = client == "access/alpha"
        return Ask(
            name,
            "granted" if granted else "denied",
            replace(call, host=host) if host else call,
            "server",
            scenario.call(client, twin),
        )

    asks = [
        ask("granted client", "access/alpha"),
        ask("meshed client without grant, by pod address", "access/beta", host=address),
        ask("client outside the mesh, by service name", "outside/outsider"),
        ask("client outside the mesh, by pod address", "outside/outsider", host=address),
    ]
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-enforced-at-server")
def test_the_server_itself_refuses_whoever_was_not_granted(
    doors: Table, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.access(*doors.pick()))

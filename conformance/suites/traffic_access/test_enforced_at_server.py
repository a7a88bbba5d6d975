"""Whatever the client's side does or lacks, the destination refuses who was not granted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/enforced-at-server",
    arena=("access", "outside"),
    groups=("access", "specs"),
    presumes=("access-only-listed-sources",),
)

SERVERS = ("access/server", "outside/outsider", "outside/stranger")


@drives_scenario
def doors(scenario: Scenario) -> AccessTable:
    server = "access/server"

    def ask(name: str, client: str, *, by_address: bool = False) -> AccessCheck:
        # A call to itself would go through whatever becomes of others: the outsider has another twin.
        twin = "outside/stranger" if client == "outside/outsider" else "outside/outsider"
        calls = [scenario.call(client, each) for each in (server, twin)]
        if by_address:
            # The twin too: that calls of this kind go through at all is what it is there to show.
            calls = [
                replace(call, host=scenario.arena.pod(each).ip)
                for call, each in zip(calls, (server, twin), strict=True)
            ]
        granted = client == "access/alpha"
        return AccessCheck(name, "granted" if granted else "denied", calls[0], "server", calls[1])

    asks = [
        ask("granted client", "access/alpha"),
        ask("meshed client without grant, by pod address", "access/beta", by_address=True),
        ask("client outside the mesh, by service name", "outside/outsider"),
        ask("client outside the mesh, by pod address", "outside/outsider", by_address=True),
    ]
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-enforced-at-server")
def test_the_server_itself_refuses_whoever_was_not_granted(doors: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(doors))

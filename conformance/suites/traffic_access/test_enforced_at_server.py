"""The destination enforces grants, whatever the client's side does or lacks."""

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

    def check(name: str, client: str, *, by_address: bool = False) -> AccessCheck:
        # The outsider's control call has another server: a call to itself would always go through.
        control = "outside/stranger" if client == "outside/outsider" else "outside/outsider"
        calls = [scenario.call(client, each) for each in (server, control)]
        if by_address:
            # The control call too: it shows that calls by address go through at all.
            calls = [
                replace(call, host=scenario.arena.pod(each).ip)
                for call, each in zip(calls, (server, control), strict=True)
            ]
        found = scenario.access_check(name, client, server, granted=client == "access/alpha", control=False)
        return replace(found, call=calls[0], control_call=calls[1])

    checks = [
        check("granted client", "access/alpha"),
        check("meshed client without grant, by pod address", "access/beta", by_address=True),
        check("client outside the mesh, by service name", "outside/outsider"),
        check("client outside the mesh, by pod address", "outside/outsider", by_address=True),
    ]
    return scenario.access(checks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-enforced-at-server")
def test_the_server_itself_denies_clients_without_a_grant(doors: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(doors))

"""Routes describe traffic and grant nothing by themselves, whatever their names."""

from __future__ import annotations

import pytest

from conformance.suite import AccessCheck, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-specs/inert", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "access/other", "outside/outsider")
SERVICES = {"http": ("{server}", 8080), "tcp": ("{server}-tcp", 9000)}
"""By protocol: the service of a server, and its port; see `test_datagrams.py` for UDP."""


@drives_scenario
def inert(scenario: Scenario) -> AccessTable:
    def check(client: str, server: str, protocol: str) -> AccessCheck:
        granted = (client, server, protocol) == ("access/alpha", "other", "http")
        name, (service, port) = f"{client} to {server} by {protocol}", SERVICES[protocol]
        return scenario.access_check(
            name,
            client,
            f"access/{service.format(server=server)}",
            granted=granted,
            server=server,
            port=port,
            protocol=protocol,
        )

    checks = [
        check(client, server, protocol)
        for protocol in SERVICES
        if scenario.carries(protocol)
        for server in ("other", "server")
        for client in ("access/alpha", "access/beta")
    ]
    baseline = scenario.baseline(checks, SERVERS)
    scenario.apply("1-routes.yaml")
    # The later grant of other routes shows that the mesh has taken up these.
    return scenario.access(checks, "2-target.yaml", servers=SERVERS, baseline=baseline)


@pytest.mark.requirement("http-group-inert-alone")
def test_routes_of_no_target_grant_nothing(inert: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(inert))

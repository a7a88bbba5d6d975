"""UDP routes: alone they grant nothing, they open their listed ports, and an empty list opens all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from conformance.suite import (
    UNMESHED_SERVERS,
    AccessCheck,
    AccessTable,
    Conclude,
    Scenario,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario(
    "traffic-specs/datagrams", arena=("udp", "outside"), groups=("access", "specs")
)

SERVERS = ("udp/server", "udp/other", "udp/third", "outside/outsider")
LISTED, ALL, BESIDE, STRANGER = "listed ports", "all ports", "all beside listed", "nobody's grant"
LISTED_PORTS, EVERY_PORT = (9001, 9002), (9000, 9001, 9002)


@dataclass(frozen=True)
class Steps:
    """Access with a route of no target, and then with targets for routes with ports and without."""

    inert: AccessTable
    ports: AccessTable


@drives_scenario
def steps(scenario: Scenario) -> Steps:
    def check(name: str, client: str, server: str, port: int = 9000, *, granted: bool = True) -> AccessCheck:
        sender = f"udp/{client}"
        found = scenario.access_check(
            f"{name}: {port}",
            sender,
            f"udp/{server}",
            granted=granted,
            control=False,
            port=port,
            protocol="udp",
        )
        control = scenario.call(sender, UNMESHED_SERVERS["udp"], port=9000, protocol="udp")
        return replace(found, control_call=control)

    scenario.create_services()
    alone = [
        check(f"{client} to {server}", client, server, granted=(client, server) == ("alpha", "other"))
        for server in ("other", "third")
        for client in ("alpha", "beta")
    ]
    wanted = [
        *(check(LISTED, "alpha", "server", port, granted=port in LISTED_PORTS) for port in EVERY_PORT),
        *(check(ALL, "alpha", "other", port) for port in EVERY_PORT),
        check(STRANGER, "beta", "other", EVERY_PORT[-1], granted=False),
        *(check(BESIDE, "alpha", "third", port) for port in EVERY_PORT),
    ]
    baseline = scenario.baseline([*alone, *wanted], SERVERS)
    scenario.apply("1-routes.yaml")
    # The later grant of another route shows that the mesh has taken up the first route.
    inert = scenario.access(alone, "2-target.yaml", servers=SERVERS, baseline=baseline[: len(alone)])
    scenario.delete("1-routes.yaml", "2-target.yaml")
    return Steps(
        inert, scenario.access(wanted, "3-targets.yaml", servers=SERVERS, baseline=baseline[len(alone) :])
    )


def names_of(ports: AccessTable, *names: str) -> list[str]:
    """The full names of these checks."""
    wanted = tuple(f"{name}: " for name in names)
    return [cell.name for cell in ports.results if cell.name.startswith(wanted)]


@pytest.mark.requirement("http-group-inert-alone")
def test_a_udp_route_of_no_target_grants_nothing(steps: Steps, verdict: Conclude) -> None:
    verdict(judge.access_enforced(steps.inert))


@pytest.mark.requirement("l4-empty-ports-match-all")
def test_an_empty_list_of_udp_ports_opens_all_ports_to_the_listed_source(
    steps: Steps, verdict: Conclude
) -> None:
    # The test below judges the ports that a list leaves closed.
    verdict(judge.access_enforced(steps.ports.select(*names_of(steps.ports, ALL, STRANGER, BESIDE))))


@pytest.mark.requirement("access-udproute-ports")
def test_a_udp_route_opens_its_ports_alone(steps: Steps, verdict: Conclude) -> None:
    verdict(judge.access_enforced(steps.ports.select(*names_of(steps.ports, LISTED))))

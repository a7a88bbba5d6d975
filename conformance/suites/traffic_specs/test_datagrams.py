"""UDP has routes of its own: alone they grant nothing, listed ports open, and no ports stand for all."""

from __future__ import annotations

from dataclasses import dataclass

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
    """With a route that nothing refers to, and then with targets for routes that list ports and do not."""

    inert: AccessTable
    ports: AccessTable


@drives_scenario
def steps(scenario: Scenario) -> Steps:
    def ask(name: str, client: str, server: str, port: int = 9000, *, granted: bool = True) -> AccessCheck:
        call = scenario.call(f"udp/{client}", f"udp/{server}", port=port, protocol="udp")
        twin = scenario.call(f"udp/{client}", UNMESHED_SERVERS["udp"], port=9000, protocol="udp")
        return AccessCheck(f"{name}: {port}", "granted" if granted else "denied", call, server, twin)

    scenario.create_services()
    alone = [
        ask(f"{client} to {server}", client, server, granted=(client, server) == ("alpha", "other"))
        for server in ("other", "third")
        for client in ("alpha", "beta")
    ]
    wanted = [
        *(ask(LISTED, "alpha", "server", port, granted=port in LISTED_PORTS) for port in EVERY_PORT),
        *(ask(ALL, "alpha", "other", port) for port in EVERY_PORT),
        ask(STRANGER, "beta", "other", EVERY_PORT[-1], granted=False),
        *(ask(BESIDE, "alpha", "third", port) for port in EVERY_PORT),
    ]
    baseline = scenario.baseline([*alone, *wanted], SERVERS)
    scenario.apply("1-routes.yaml")
    # The grant that comes after it, of another route, shows that the mesh has seen it.
    inert = scenario.access(alone, "2-target.yaml", servers=SERVERS, baseline=baseline[: len(alone)])
    scenario.delete("1-routes.yaml", "2-target.yaml")
    return Steps(
        inert, scenario.access(wanted, "3-targets.yaml", servers=SERVERS, baseline=baseline[len(alone) :])
    )


def of(ports: AccessTable, *names: str) -> list[str]:
    """The asks of these names."""
    wanted = tuple(f"{name}: " for name in names)
    return [cell.name for cell in ports.results if cell.name.startswith(wanted)]


@pytest.mark.requirement("http-group-inert-alone")
def test_a_route_of_udp_that_no_target_refers_to_grants_nothing(steps: Steps, verdict: Conclude) -> None:
    verdict(judge.access_enforced(steps.inert))


@pytest.mark.requirement("l4-empty-ports-match-all")
def test_an_empty_list_of_udp_ports_opens_all_of_them_to_the_listed_source(
    steps: Steps, verdict: Conclude
) -> None:
    # What a list of ports leaves closed is asked below, by itself.
    verdict(judge.access_enforced(steps.ports.select(*of(steps.ports, ALL, STRANGER, BESIDE))))


@pytest.mark.requirement("access-udproute-ports")
def test_udp_is_open_on_the_ports_of_udp_routes_alone(steps: Steps, verdict: Conclude) -> None:
    verdict(judge.access_enforced(steps.ports.select(*of(steps.ports, LISTED))))

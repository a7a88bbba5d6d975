"""A route of raw TCP without ports stands for all, also beside routes that list some."""

from __future__ import annotations

import pytest

from conformance.suite import (
    UNMESHED_SERVERS,
    AccessCheck,
    AccessTable,
    Conclude,
    Scenario,
    drives_scenario,
    judge,
    load,
)

pytestmark = pytest.mark.scenario(
    "traffic-specs/ports", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "access/other", "access/third", "outside/outsider")
LISTED, ALL, BESIDE, STRANGER = "listed ports", "all ports", "all beside listed", "nobody's grant"
ODD = "9000 more than 65536"
LISTED_PORTS, EVERY_PORT = (9000,), (9000, 9001)


@drives_scenario
def ports(scenario: Scenario) -> AccessTable:
    def ask(name: str, client: str, server: str, port: int, *, granted: bool = True) -> AccessCheck:
        call = scenario.call(f"access/{client}", f"access/raw-{server}", port=port, protocol="tcp")
        twin = scenario.call(f"access/{client}", UNMESHED_SERVERS["tcp"], port=9000, protocol="tcp")
        return AccessCheck(f"{name}: {port}", "granted" if granted else "denied", call, server, twin)

    scenario.create_services()
    wanted = [
        *(ask(LISTED, "alpha", "server", port, granted=port in LISTED_PORTS) for port in EVERY_PORT),
        *(ask(ALL, "alpha", "other", port) for port in EVERY_PORT),
        ask(STRANGER, "gamma", "other", EVERY_PORT[-1], granted=False),
        *(ask(BESIDE, "alpha", "third", port) for port in EVERY_PORT),
    ]
    odd = load(f"{scenario.folder}/odd-port.yaml") if scenario.versions["specs"] == "v1alpha4" else []
    if not all(scenario.dry_run(item).accepted for item in odd):
        odd = []
    if odd:
        wanted.append(ask(ODD, "beta", "server", 9000, granted=False))
    baseline = scenario.baseline(wanted, SERVERS)
    scenario.apply_objects(scenario.writer.write(odd))
    return scenario.access(wanted, "targets.yaml", servers=SERVERS, baseline=baseline)


def of(ports: AccessTable, *names: str) -> list[str]:
    """The asks of these names."""
    wanted = tuple(f"{name}: " for name in names)
    return [cell.name for cell in ports.results if cell.name.startswith(wanted)]


@pytest.mark.requirement("l4-empty-ports-match-all")
def test_an_empty_list_of_ports_opens_all_of_them_to_the_listed_source(
    ports: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(ports.select(*of(ports, LISTED, ALL, STRANGER, BESIDE))))


@pytest.mark.requirement("tcp-portless-covers-all")
def test_a_route_of_a_version_without_ports_is_limited_by_the_target_alone(
    ports: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(ports.select(*of(ports, LISTED, ALL, STRANGER, BESIDE))))


@pytest.mark.requirement("l4-reject-bad-ports")
def test_a_port_above_the_last_opens_no_other(ports: AccessTable, verdict: Conclude) -> None:
    odd = of(ports, ODD)
    if not odd:
        verdict(judge.not_applicable("the API server refuses a port above 65535"))
        return
    # Beside a grant that is in force: before it is, nothing is open that the port could open.
    verdict(judge.access_enforced(ports.select(f"{LISTED}: 9000", *odd)))

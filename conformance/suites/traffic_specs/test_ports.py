"""A TCP route without ports opens all ports, also beside routes with ports."""

from __future__ import annotations

from dataclasses import replace

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
    def check(name: str, client: str, server: str, port: int, *, granted: bool = True) -> AccessCheck:
        sender = f"access/{client}"
        found = scenario.access_check(
            f"{name}: {port}",
            sender,
            f"access/raw-{server}",
            granted=granted,
            server=server,
            control=False,
            port=port,
            protocol="tcp",
        )
        control = scenario.call(sender, UNMESHED_SERVERS["tcp"], port=9000, protocol="tcp")
        return replace(found, control_call=control)

    scenario.create_services()
    wanted = [
        *(check(LISTED, "alpha", "server", port, granted=port in LISTED_PORTS) for port in EVERY_PORT),
        *(check(ALL, "alpha", "other", port) for port in EVERY_PORT),
        check(STRANGER, "gamma", "other", EVERY_PORT[-1], granted=False),
        *(check(BESIDE, "alpha", "third", port) for port in EVERY_PORT),
    ]
    odd = load(f"{scenario.folder}/odd-port.yaml") if scenario.versions["specs"] == "v1alpha4" else []
    if not all(scenario.dry_run(item).accepted for item in odd):
        odd = []
    if odd:
        wanted.append(check(ODD, "beta", "server", 9000, granted=False))
    baseline = scenario.baseline(wanted, SERVERS)
    scenario.apply_objects(scenario.writer.write(odd))
    return scenario.access(wanted, "targets.yaml", servers=SERVERS, baseline=baseline)


def names_of(ports: AccessTable, *names: str) -> list[str]:
    """The full names of these checks."""
    wanted = tuple(f"{name}: " for name in names)
    return [cell.name for cell in ports.results if cell.name.startswith(wanted)]


@pytest.mark.requirement("l4-empty-ports-match-all")
def test_an_empty_list_of_ports_opens_all_ports_to_the_listed_source(
    ports: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(ports.select(*names_of(ports, LISTED, ALL, STRANGER, BESIDE))))


@pytest.mark.requirement("tcp-portless-covers-all")
def test_only_the_target_limits_a_route_of_a_version_without_ports(
    ports: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(ports.select(*names_of(ports, LISTED, ALL, STRANGER, BESIDE))))


@pytest.mark.requirement("l4-reject-bad-ports")
def test_a_port_above_65535_opens_no_other(ports: AccessTable, verdict: Conclude) -> None:
    odd = names_of(ports, ODD)
    if not odd:
        verdict(judge.not_applicable("the API server refuses a port above 65535"))
        return
    # A grant in force beside it is the control: before it, no port is open.
    verdict(judge.access_enforced(ports.select(f"{LISTED}: 9000", *odd)))

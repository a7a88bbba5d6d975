"""A route without ports stands for all, also beside routes that list some; UDP has routes of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance import judge
from conformance.drive.manifests import load
from conformance.drive.scenario import TWIN, Ask, Scenario, Table
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-specs/ports", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "access/other", "access/beta", "outside/outsider")
LISTED, ALL, BESIDE, STRANGER = "listed ports", "all ports", "all beside listed", "nobody's grant"
ODD = "9000 more than 65536"


@driven
def ports(scenario: Scenario) -> Table:
    def ask(name: str, client: str, server: str, port: int, protocol: str, *, granted: bool = True) -> Ask:
        call = scenario.call(f"access/{client}", f"access/raw-{server}", port=port, protocol=protocol)
        twin = scenario.call(f"access/{client}", TWIN, port=9000, protocol=protocol)
        return Ask(f"{name}: {protocol} {port}", "granted" if granted else "denied", call, server, twin)

    def asks(protocol: str, listed: set[int], every: set[int]) -> list[Ask]:
        return [
            *(
                ask(LISTED, "alpha", "server", port, protocol, granted=port in listed)
                for port in sorted(every)
            ),
            *(ask(ALL, "alpha", "other", port, protocol) for port in sorted(every)),
            ask(STRANGER, "gamma", "other", max(every), protocol, granted=False),
            *(ask(BESIDE, "alpha", "beta", port, protocol) for port in sorted(every)),
        ]

    scenario.provide()
    wanted = asks("tcp", {9000}, {9000, 9001})
    datagrams = scenario.expressible("datagrams.yaml") if scenario.profile.access.udp else []
    if datagrams:
        # Each protocol has its own ports, so that what is opened of one shows where it is open of the other.
        wanted += asks("udp", {9001, 9002}, {9000, 9001, 9002})
    odd = load(f"{scenario.folder}/odd-port.yaml") if scenario.versions["specs"] == "v1alpha4" else []
    if not all(scenario.taken(item).accepted for item in odd):
        odd = []
    if odd:
        wanted.append(ask(ODD, "beta", "server", 9000, "tcp", granted=False))
    before = scenario.before(wanted, SERVERS)
    scenario.apply_objects([*scenario.writer.write(odd), *datagrams])
    return scenario.access(wanted, "targets.yaml", servers=SERVERS, before=before)


def of(ports: Table, protocol: str, *names: str) -> list[str]:
    """The asks of these names, in a protocol."""
    wanted = tuple(f"{name}: {protocol} " for name in names)
    return [cell.name for cell in ports.cells if cell.name.startswith(wanted)]


@pytest.mark.requirement("l4-empty-ports-match-all")
def test_an_empty_list_of_ports_opens_all_of_them_to_the_listed_source(
    ports: Table, verdict: Callable[[Judgement], None]
) -> None:
    # What a list of UDP ports leaves closed is asked below, by itself.
    wanted = [*of(ports, "tcp", LISTED, ALL, STRANGER, BESIDE), *of(ports, "udp", ALL, STRANGER, BESIDE)]
    verdict(judge.access(ports.pick(*wanted)))


@pytest.mark.requirement("tcp-portless-covers-all")
def test_a_route_of_a_version_without_ports_is_limited_by_the_target_alone(
    ports: Table, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.access(ports.pick(*of(ports, "tcp", LISTED, ALL, STRANGER, BESIDE))))


@pytest.mark.requirement("l4-reject-bad-ports")
def test_a_port_above_the_last_opens_no_other(ports: Table, verdict: Callable[[Judgement], None]) -> None:
    odd = of(ports, "tcp", ODD)
    if not odd:
        verdict(judge.not_applicable("the API server refuses a port above 65535"))
        return
    # Beside a grant that is in force: before it is, nothing is open that the port could open.
    verdict(judge.access(ports.pick(f"{LISTED}: tcp 9000", *odd)))


@pytest.mark.requirement("access-udproute-ports")
def test_udp_is_open_on_the_ports_of_udp_routes_alone(
    ports: Table, verdict: Callable[[Judgement], None]
) -> None:
    listed = of(ports, "udp", LISTED)
    if not listed:
        verdict(judge.not_claimed("the mesh's profile does not say that UDP is governed (access.udp)"))
        return
    verdict(judge.access(ports.pick(*listed)))

"""HTTP routes granted on one port of two: a TCPRoute says which; before access v1alpha3 the target does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from conformance.suite import PORT_IN_TARGET, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/one-port",
    arena=("access", "outside"),
    groups=("access", "specs"),
    presumes=("access-deny-unlisted-route", "access-only-listed-sources"),
)

# Nothing else grants this client anything at this server before: a connection between their proxies that an
# earlier grant left open would tell of that, and not of ports.
CLIENT = "access/gamma"
SERVERS = ("access/third", "outside/outsider")
SERVICES = {8080: "access/third", 8081: "access/third-alt"}
LISTED = 8081
"""Not the first port of the server: a mesh that opens its first port, whatever is said, opens another."""


@drives_scenario
def tables(scenario: Scenario) -> Mapping[str, AccessTable]:
    scenario.create_services()
    limited = [
        scenario.access_check(
            f"{path} on {port}",
            CLIENT,
            service,
            granted=(port, path) == (LISTED, "/metrics"),
            server="third",
            path=path,
            port=port,
        )
        for port, service in SERVICES.items()
        for path in ("/metrics", "/other")
    ]
    baseline = scenario.baseline(limited, SERVERS)
    found = {"with_a_port": scenario.access(limited, "1-limited.yaml", servers=SERVERS, baseline=baseline)}
    if scenario.versions["access"] in PORT_IN_TARGET:
        everywhere = [
            replace(ask, expect="granted" if ask.call.path == "/metrics" else "denied") for ask in limited
        ]
        found["without_one"] = scenario.access(
            everywhere, "2-every-port.yaml", servers=SERVERS, baseline=baseline
        )
    return found


@pytest.mark.requirement("access-l4-rule-constrains-l7")
def test_a_tcproute_says_on_which_port_the_routes_are_open(
    tables: Mapping[str, AccessTable], verdict: Conclude
) -> None:
    verdict(judge.access_enforced(tables["with_a_port"]))


@pytest.mark.requirement("access-v1alpha1-destination-port")
def test_the_port_of_a_target_limits_it_and_without_one_every_port_is_open(
    tables: Mapping[str, AccessTable], verdict: Conclude
) -> None:
    verdict(judge.all_of(**{step: judge.access_enforced(table) for step, table in tables.items()}))

"""HTTP routes granted on one of two ports: by a TCPRoute, before access v1alpha3 by the target."""

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

# The pair has no other grant: a connection that an earlier grant left open between their proxies would show
# that grant, not the ports.
CLIENT = "access/gamma"
SERVERS = ("access/third", "outside/outsider")
SERVICES = {8080: "access/third", 8081: "access/third-alt"}
LISTED = 8081
"""Not the first port of the server, which a mesh without regard for ports would open."""


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
def test_a_tcproute_limits_routes_to_its_port(tables: Mapping[str, AccessTable], verdict: Conclude) -> None:
    verdict(judge.access_enforced(tables["with_a_port"]))


@pytest.mark.requirement("access-v1alpha1-destination-port")
def test_a_target_opens_its_port_alone_and_every_port_without_one(
    tables: Mapping[str, AccessTable], verdict: Conclude
) -> None:
    verdict(judge.all_of(**{step: judge.access_enforced(table) for step, table in tables.items()}))

"""Raw TCP under access control: a TCPRoute opens it to the listed source alone."""

from __future__ import annotations

import pytest

from conformance.suite import AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/raw",
    arena=("access", "outside"),
    groups=("access", "specs"),
    presumes=("access-only-listed-sources",),
)

SERVERS = ("access/server", "outside/outsider")
RAW = 9000


@drives_scenario
def raw(scenario: Scenario) -> AccessTable:
    checks = [
        scenario.access_check(
            name,
            f"access/{name}",
            "access/server-tcp",
            granted=name == "alpha",
            server="server",
            port=RAW,
            protocol="tcp",
        )
        for name in ("alpha", "beta", "gamma")
    ]
    return scenario.access(checks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-tcproute-allows-tcp")
def test_only_a_listed_source_exchanges_raw_tcp(raw: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(raw))

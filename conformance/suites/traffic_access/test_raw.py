"""Raw TCP under access control: a TCPRoute opens it to the listed source and to nobody else."""

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
    asks = [
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
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-tcproute-allows-tcp")
def test_a_listed_source_exchanges_raw_tcp_and_no_other_account_does(
    raw: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(raw))

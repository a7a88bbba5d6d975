"""Raw TCP under access control: a TCPRoute opens it to the listed source and to nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance import judge
from conformance.drive.scenario import Scenario, Table
from conformance.model.verdict import Judgement
from conformance.run.scheduler import driven

pytestmark = pytest.mark.scenario(
    "traffic-access/raw",
    arena=("access", "outside"),
    groups=("access", "specs"),
    presumes=("access-only-listed-sources",),
)

SERVERS = ("access/server", "outside/outsider")
RAW = 9000


@driven
def raw(scenario: Scenario) -> Table:
    asks = [
        scenario.ask(
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
    raw: Table, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.access(raw.pick()))

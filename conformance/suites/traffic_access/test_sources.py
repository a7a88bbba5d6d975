"""A source is the ServiceAccount of a pod, not its labels, and not an address that it claims."""

from __future__ import annotations

import pytest

from conformance.suite import DENIED, GRANTED, AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/sources", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "outside/outsider")
EXPECTED = {"alpha": GRANTED, "alpha-relabelled": GRANTED, "beta": DENIED, "gamma": DENIED}
CLAIMING = "beta, claiming the address of alpha"
"""A caller that is not listed, whose headers claim to act for a listed caller."""


def claims_of(address: str) -> dict[str, str]:
    """The headers by which proxies name the original client: RFC 7239, and those in use before it."""
    node = f'"[{address}]"' if ":" in address else address
    return {"x-forwarded-for": address, "x-real-ip": address, "forwarded": f"for={node}"}


@drives_scenario
def sources(scenario: Scenario) -> AccessTable:
    checks = [
        scenario.access_check(name, f"access/{name}", "access/server", granted=granted)
        for name, granted in EXPECTED.items()
    ]
    headers = claims_of(scenario.arena.pod("access/alpha").ip)
    checks.append(
        scenario.access_check(CLAIMING, "access/beta", "access/server", granted=False, headers=headers)
    )
    return scenario.access(checks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-only-listed-sources")
def test_a_listed_source_may_call_and_another_account_may_not(
    sources: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(sources.select("alpha", "beta")))


@pytest.mark.requirement("access-identity-not-labels")
def test_neither_labels_nor_a_claimed_address_decide_who_is_a_source(
    sources: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(sources.select("alpha-relabelled", "gamma", CLAIMING)))

"""Who is a source: the ServiceAccount that a pod runs under, nothing else, and no word of its own."""

from __future__ import annotations

import pytest

from conformance.suite import AccessTable, Conclude, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-access/sources", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "outside/outsider")
EXPECTED = {"alpha": "granted", "alpha-relabelled": "granted", "beta": "denied", "gamma": "denied"}
CLAIMING = "beta, claiming the address of alpha"
"""A caller that is not listed, and says in its headers that it calls for one that is."""


def claims_of(address: str) -> dict[str, str]:
    """The headers by which proxies tell for whom they call: RFC 7239, and those in use before it."""
    node = f'"[{address}]"' if ":" in address else address
    return {"x-forwarded-for": address, "x-real-ip": address, "forwarded": f"for={node}"}


@drives_scenario
def sources(scenario: Scenario) -> AccessTable:
    asks = [
        scenario.access_check(name, f"access/{name}", "access/server", granted=expect == "granted")
        for name, expect in EXPECTED.items()
    ]
    headers = claims_of(scenario.arena.pod("access/alpha").ip)
    asks.append(
        scenario.access_check(CLAIMING, "access/beta", "access/server", granted=False, headers=headers)
    )
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-only-listed-sources")
def test_a_listed_source_calls_and_another_account_does_not(sources: AccessTable, verdict: Conclude) -> None:
    verdict(judge.access_enforced(sources.select("alpha", "beta")))


@pytest.mark.requirement("access-identity-not-labels")
def test_neither_labels_nor_a_claimed_address_make_a_source_and_lacking_labels_unmakes_none(
    sources: AccessTable, verdict: Conclude
) -> None:
    verdict(judge.access_enforced(sources.select("alpha-relabelled", "gamma", CLAIMING)))

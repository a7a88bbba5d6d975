"""Who is a source: the ServiceAccount that a pod runs under, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance import judge
from conformance.drive.scenario import Scenario, Table
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-access/sources", arena=("access", "outside"), groups=("access", "specs")
)

SERVERS = ("access/server", "outside/outsider")
EXPECTED = {"alpha": "granted", "alpha-relabelled": "granted", "beta": "denied", "gamma": "denied"}


@driven
def sources(scenario: Scenario) -> Table:
    asks = [
        scenario.ask(name, f"access/{name}", "access/server", granted=expect == "granted")
        for name, expect in EXPECTED.items()
    ]
    return scenario.access(asks, "target.yaml", servers=SERVERS)


@pytest.mark.requirement("access-only-listed-sources")
def test_a_listed_source_calls_and_another_account_does_not(
    sources: Table, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.access(sources.pick("alpha", "beta")))


@pytest.mark.requirement("access-identity-not-labels")
def test_the_labels_of_a_listed_pod_open_nothing_and_lacking_them_closes_nothing(
    sources: Table, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.access(sources.pick("alpha-relabelled", "gamma")))

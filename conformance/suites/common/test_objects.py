"""SMI resources are ordinary API objects, under the groups that the specification names."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from conformance import judge
from conformance.drive.reading import claimed_kinds, round_trip, served_kinds
from conformance.drive.scenario import Scenario
from conformance.evidence import RoundTrip
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario("common/objects", arena=("outside",), groups=())

DELETED_WITHIN_S = 10.0


@pytest.fixture(scope="module")
def trips(scenario: Scenario) -> list[RoundTrip]:
    claims = scenario.profile.claims.by_group()
    written = [
        item
        for item in scenario.expressible("objects.yaml")
        if any(claims[group] and item["apiVersion"].startswith(f"{group}.") for group in claims)
    ]
    trip = partial(round_trip, scenario.cluster, scenario.waiter, within_s=DELETED_WITHIN_S)
    # Side by side: each waits for a watch of its own to end.
    with scenario.phases.phase("traffic"), ThreadPoolExecutor() as pool:
        return list(pool.map(trip, written))


@pytest.mark.requirement("common-api-groups-discoverable")
def test_every_claimed_kind_is_served_under_its_group(
    scenario: Scenario, verdict: Callable[[Judgement], None]
) -> None:
    claimed = sorted(claimed_kinds(scenario.profile.claims.by_group()))
    verdict(judge.groups_served(claimed, sorted(served_kinds(scenario.cluster))))


@pytest.mark.requirement("common-crud-with-standard-tools")
def test_objects_of_every_kind_keep_their_fields_and_take_every_verb(
    trips: list[RoundTrip], verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.round_trips(trips))

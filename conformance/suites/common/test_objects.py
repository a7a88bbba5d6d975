"""SMI objects are ordinary API objects, in the API groups of the specification."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Conclude,
    RoundTrip,
    Scenario,
    claimed_kinds,
    drives_scenario,
    judge,
    served_kinds,
)

pytestmark = pytest.mark.scenario("common/objects", arena=("outside",), groups=())


@drives_scenario
def trips(scenario: Scenario) -> list[RoundTrip]:
    # The first object of each kind that the version defines, which has the most fields.
    first = {item["kind"]: item for item in reversed(scenario.objects_for_version("objects.yaml"))}
    return scenario.round_trips(first.values())


@pytest.mark.requirement("common-api-groups-discoverable")
def test_every_claimed_kind_is_served_in_its_api_group(scenario: Scenario, verdict: Conclude) -> None:
    claimed = sorted(claimed_kinds(scenario.profile.claims))
    verdict(judge.groups_served(claimed, sorted(served_kinds(scenario.cluster))))


@pytest.mark.requirement("common-crud-with-standard-tools")
def test_objects_of_every_kind_keep_their_fields_and_support_every_verb(
    trips: list[RoundTrip], verdict: Conclude
) -> None:
    verdict(judge.round_trips(trips))

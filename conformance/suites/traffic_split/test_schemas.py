"""The API server accepts splits in the shape of their version, keeps every field, and refuses others."""

from __future__ import annotations

import pytest

from conformance.suite import ABSENT, Change, Conclude, Scenario, judge, load

pytestmark = pytest.mark.scenario("traffic-split/schemas", arena=("outside",), groups=("split",))

VIOLATIONS: dict[str, Change] = {
    "no service": ("spec.service", ABSENT),
    "no backends": ("spec.backends", ABSENT),
    "a backend that lacks its service": ("spec.backends.0.service", ABSENT),
    "a backend that lacks its weight": ("spec.backends.0.weight", ABSENT),
    "a match that lacks its kind": ("spec.matches.0.kind", ABSENT),
    "a match that lacks its name": ("spec.matches.0.name", ABSENT),
    "a match of kind TCPRoute": ("spec.matches.0.kind", "TCPRoute"),
}
WRONG_TYPES: dict[str, Change] = {
    "weight 500m": ("spec.backends.0.weight", "500m"),
    "weight null": ("spec.backends.0.weight", None),
    "backends as a map": ("spec.backends", {"v1": 50, "v2": 50}),
    "service as a list": ("spec.service", ["shop"]),
}


@pytest.mark.requirement("split-schema-v1alpha1")
def test_quantities_are_accepted_as_numbers_and_as_text_and_keep_their_meaning(
    scenario: Scenario, verdict: Conclude
) -> None:
    verdict(judge.round_trips(scenario.round_trips(scenario.objects_for_version("v1alpha1-quantities.yaml"))))


@pytest.mark.requirement("split-schema-v1alpha2")
def test_whole_numbers_are_accepted_as_weights_and_kept(scenario: Scenario, verdict: Conclude) -> None:
    verdict(judge.round_trips(scenario.round_trips(scenario.objects_for_version("weights.yaml"))))


@pytest.mark.requirement("split-schema-v1alpha3-v1alpha4")
def test_matches_are_optional_and_kept(scenario: Scenario, verdict: Conclude) -> None:
    weights, matches = (
        scenario.objects_for_version("weights.yaml"),
        scenario.objects_for_version("matches.yaml"),
    )
    verdict(judge.round_trips(scenario.round_trips([*weights, *matches])))


@pytest.mark.requirement("split-reject-schema-violations", presumes=("split-schema-v1alpha3-v1alpha4",))
def test_a_split_that_lacks_a_field_or_refers_to_another_kind_is_refused(
    scenario: Scenario, verdict: Conclude
) -> None:
    whole = load("traffic-split/schemas/matches.yaml")[0]
    verdict(judge.refusals([scenario.dry_run(whole)], scenario.dry_run_variants(whole, VIOLATIONS)))


@pytest.mark.requirement("split-reject-wrong-types")
def test_a_field_of_another_type_is_refused(scenario: Scenario, verdict: Conclude) -> None:
    whole = load("traffic-split/schemas/weights.yaml")[0]
    verdict(judge.refusals([scenario.dry_run(whole)], scenario.dry_run_variants(whole, WRONG_TYPES)))

"""A split with matches applies to requests that its route groups match; the root keeps the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from conformance.suite import (
    Call,
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    Traffic,
    drives_scenario,
    judge,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/matches",
    arena=("main",),
    groups=("split", "specs"),
    presumes=("split-single-backend", "split-schema-v1alpha3-v1alpha4", "http-omitted-path-and-methods"),
)

WEIGHTS = {"v2": 75, "v3": 25}
SERVERS = ["main/v1", "main/v2", "main/v3"]
FEW = 300
SELECTED: Mapping[str, Mapping[str, str]] = {
    "firefox": {"user-agent": "Mozilla Firefox 1"},
    "both headers": {"x-team": "red", "x-beta": "yes"},
    "staff": {"x-staff": "yes"},
    "both groups": {"user-agent": "Mozilla Firefox 1", "x-staff": "yes"},
}
OTHERS: Mapping[str, Mapping[str, str]] = {
    "no header": {},
    "chrome": {"user-agent": "Mozilla Chrome 1"},
    "team alone": {"x-team": "red"},
    "beta alone": {"x-beta": "yes"},
}


@dataclass(frozen=True)
class Matches:
    """By kind of request: the effect on selected ones, the others meanwhile, and both after an edit."""

    selected: Mapping[str, Effect]
    others: Mapping[str, Traffic]
    edited: Mapping[str, Effect]

    def traffic_of(self, *names: str) -> list[Traffic]:
        """The traffic of kinds of requests that the split does not select."""
        return [self.others[name] for name in names]


@drives_scenario
def matches(scenario: Scenario) -> Matches:
    def call(headers: Mapping[str, str]) -> Call:
        return scenario.call("main/client", "main/beta", requests=FEW, headers=headers)

    def effects(wanted: Mapping[str, ExpectedResponders], file: str) -> dict[str, Effect]:
        found = scenario.apply_and_sample(list(wanted.values()), file, servers=SERVERS)
        return dict(zip(wanted, found, strict=True))

    scenario.create_services()
    wanted = {
        name: ExpectedResponders(call(headers), frozenset(WEIGHTS)) for name, headers in SELECTED.items()
    }
    wanted["firefox"] = ExpectedResponders.by_weight(call(SELECTED["firefox"]), WEIGHTS)
    selected = effects(wanted, "1-split.yaml")
    others = scenario.send(*(call(headers) for headers in OTHERS.values()), servers=SERVERS)
    edited = effects(
        {
            "chrome": ExpectedResponders(call(OTHERS["chrome"]), frozenset(WEIGHTS)),
            "firefox": ExpectedResponders(call(SELECTED["firefox"]), frozenset({"v1"})),
        },
        "2-chrome.yaml",
    )
    return Matches(selected, dict(zip(OTHERS, others, strict=True)), edited)


@pytest.mark.requirement("split-matches-select-traffic")
def test_only_requests_that_match_a_group_are_divided_by_weight(matches: Matches, verdict: Conclude) -> None:
    divided = judge.weights_followed(matches.selected["firefox"], WEIGHTS)
    others = judge.preserved(divided, matches.traffic_of("chrome"), "v1")
    verdict(judge.all_of(selected=divided, others=others))


@pytest.mark.requirement("split-matches-others-to-root")
def test_the_root_answers_all_other_requests(matches: Matches, verdict: Conclude) -> None:
    in_force = judge.nothing_reaches(matches.selected["firefox"], "v1")
    verdict(judge.preserved(in_force, matches.traffic_of("no header", "chrome"), "v1"))


@pytest.mark.requirement(
    "split-matches-multiple-groups", presumes=("split-matches-select-traffic", "split-matches-others-to-root")
)
def test_any_of_several_groups_selects_a_request(matches: Matches, verdict: Conclude) -> None:
    selected = matches.selected
    first_group = judge.nothing_reaches(selected["firefox"], "v1")
    verdict(
        judge.all_of(
            first_group=first_group,
            second_group=judge.nothing_reaches(selected["staff"], "v1"),
            both_groups=judge.nothing_reaches(selected["both groups"], "v1"),
            neither=judge.preserved(first_group, matches.traffic_of("no header"), "v1"),
        )
    )


@pytest.mark.requirement(
    "split-matches-whole-group",
    presumes=(
        "split-matches-select-traffic",
        "split-matches-others-to-root",
        "split-matches-multiple-groups",
    ),
)
def test_any_match_of_a_group_selects_and_all_its_headers_must_hold(
    matches: Matches, verdict: Conclude
) -> None:
    staff, halves = matches.selected["staff"], matches.traffic_of("team alone", "beta alone")
    first_match = judge.nothing_reaches(matches.selected["both headers"], "v1")
    verdict(
        judge.all_of(
            first_match=first_match,
            second_match=judge.nothing_reaches(staff, "v1"),
            half_of_a_match=judge.preserved(first_match, halves, "v1"),
        )
    )


@pytest.mark.requirement(
    "split-matches-group-update", presumes=("split-matches-select-traffic", "split-matches-others-to-root")
)
def test_an_edit_of_the_group_changes_the_selected_requests(matches: Matches, verdict: Conclude) -> None:
    verdict(
        judge.all_of(
            selected_now=judge.nothing_reaches(matches.edited["chrome"], "v1"),
            no_longer=judge.everything_reaches(matches.edited["firefox"], "v1"),
        )
    )

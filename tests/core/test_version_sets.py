"""The versions of a scenario: compatible ones, each claimed version, in few assignments."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import catalogue
from conformance.drive.version_selection import (
    CONFIGURATION,
    VersionChoice,
    VersionsError,
    assignments,
    compatible,
    format_versions,
    parse_version_choice,
    requirement_applies,
)

FOUR = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")
CLAIMS = {"split": FOUR, "access": FOUR, "specs": FOUR, "metrics": ("v1alpha1",)}
ALL = VersionChoice("all")


def words(
    groups: tuple[str, ...], choice: VersionChoice, claims: dict[str, tuple[str, ...]] = CLAIMS
) -> list[str]:
    return [format_versions(one) for one in assignments(claims, groups, choice)]


class TestAWish:
    def test_is_a_word_or_a_list(self) -> None:
        assert parse_version_choice("newest", CLAIMS) == VersionChoice()
        assert parse_version_choice("all", CLAIMS) == ALL
        assert parse_version_choice("split=v1alpha2, specs=v1alpha3,split=v1alpha1", CLAIMS) == VersionChoice(
            "list", {"split": ("v1alpha2", "v1alpha1"), "specs": ("v1alpha3",)}
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("split", "'split' is invalid; use newest, all, or a list such as split=v1alpha2"),
            ("", "'' is invalid"),
            ("split=2", "'split=2' is invalid"),
            ("splits=v1alpha2", "no group 'splits'; did you mean split?"),
            ("split=v1alpha9", "split v1alpha9 is not claimed; claimed: v1alpha1, v1alpha2"),
            ("access=v1alpha2", "access v1alpha2 is not claimed; claimed: none"),
        ],
    )
    def test_that_is_invalid_is_one_line_with_the_possible_values(self, text: str, message: str) -> None:
        with pytest.raises(VersionsError) as caught:
            parse_version_choice(text, {**CLAIMS, "access": ()})
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


class TestSets:
    def test_are_one_of_the_newest_stable_versions_by_default(self) -> None:
        assert words(("split",), VersionChoice()) == ["split v1alpha4"]
        assert words(("access", "specs"), VersionChoice()) == ["access v1alpha3, specs v1alpha4"]
        assert words(("metrics",), VersionChoice()) == ["metrics v1alpha1"]

    def test_have_compatible_versions_if_the_newest_are_not(self) -> None:
        claims = {**CLAIMS, "access": ("v1alpha2",), "specs": ("v1alpha3", "v1alpha4")}
        assert words(("access", "specs"), VersionChoice(), claims) == ["access v1alpha2, specs v1alpha3"]

    def test_are_empty_if_no_versions_are_compatible_or_a_group_is_unclaimed(self) -> None:
        assert (
            words(("access", "specs"), ALL, {**CLAIMS, "specs": ("v1alpha2",), "access": ("v1alpha3",)}) == []
        )
        assert words(("split",), ALL, {**CLAIMS, "split": ()}) == []

    def test_of_all_versions_have_each_pair_of_the_matrix(self) -> None:
        assert words(("access", "specs"), ALL) == [
            "access v1alpha3, specs v1alpha4",
            "access v1alpha4, specs v1alpha4",
            "access v1alpha2, specs v1alpha3",
            "access v1alpha1, specs v1alpha2",
            "access v1alpha1, specs v1alpha1",
        ]

    def test_of_all_versions_of_one_group_are_as_many_as_it_has(self) -> None:
        assert words(("split",), ALL) == [f"split {version}" for version in reversed(FOUR)]

    def test_of_a_list_have_its_versions_and_the_newest_compatible_ones(self) -> None:
        version_choice = parse_version_choice("specs=v1alpha3", CLAIMS)
        assert words(("split", "specs"), version_choice) == ["split v1alpha3, specs v1alpha3"]
        assert words(("access", "specs"), version_choice) == ["access v1alpha2, specs v1alpha3"]
        assert words(("split",), version_choice) == ["split v1alpha4"]

    def test_of_a_list_are_empty_if_no_claimed_version_is_compatible(self) -> None:
        claims = {**CLAIMS, "access": ("v1alpha3",)}
        assert words(("access", "specs"), parse_version_choice("specs=v1alpha3", claims), claims) == []

    def test_of_a_scenario_without_groups_have_each_version_of_whatever_is_claimed(self) -> None:
        claims = {**CLAIMS, "access": (), "specs": ("v1alpha3", "v1alpha4")}
        assert words((), VersionChoice(), claims) == ["split v1alpha4, specs v1alpha4"]
        assert words((), ALL, claims) == [
            "split v1alpha4, specs v1alpha4",
            "split v1alpha3, specs v1alpha3",
            "split v1alpha2, specs v1alpha3",
            "split v1alpha1, specs v1alpha3",
        ]
        assert words((), ALL, {**CLAIMS, "split": (), "access": (), "specs": ()}) == [""]

    @given(
        st.fixed_dictionaries({group: st.sets(st.sampled_from(FOUR), min_size=1) for group in CONFIGURATION}),
        st.sets(st.sampled_from(CONFIGURATION), min_size=1),
    )
    def test_of_all_versions_have_every_compatible_version_in_a_minimal_number(
        self, claimed: dict[str, set[str]], groups: set[str]
    ) -> None:
        claims = {group: tuple(sorted(versions)) for group, versions in claimed.items()}
        ordered = [group for group in CONFIGURATION if group in groups]
        found = assignments(claims, ordered, ALL)
        everything = [
            dict(zip(ordered, one, strict=True)) for one in product(*(claims[group] for group in ordered))
        ]
        possible = [one for one in everything if compatible(one)]
        pairs = {pair for one in possible for pair in one.items()}
        assert {pair for one in found for pair in one.items()} == pairs
        assert all(one in possible for one in found)
        for one in found:
            rest = {pair for other in found if other is not one for pair in other.items()}
            assert not pairs <= rest


class TestARequirement:
    @pytest.mark.parametrize(
        ("requirement", "versions", "holds"),
        [
            ("split-schema-v1alpha1", {"split": "v1alpha1"}, True),
            ("split-schema-v1alpha1", {"split": "v1alpha4"}, False),
            ("http-header-filter", {"access": "v1alpha1", "specs": "v1alpha1"}, False),
            ("http-header-filter", {"access": "v1alpha1", "specs": "v1alpha2"}, True),
            ("metrics-trafficsplit-per-backend", {"metrics": "v1alpha1", "split": "v1alpha1"}, True),
            ("interact-split-matches-with-target-routes", {"split": "v1alpha2", "access": "v1alpha3"}, False),
            ("interact-split-matches-with-target-routes", {"split": "v1alpha4", "access": "v1alpha3"}, True),
            ("common-crud-with-standard-tools", {}, True),
        ],
    )
    def test_holds_for_sets_of_its_versions(
        self, requirement: str, versions: dict[str, str], holds: bool
    ) -> None:
        assert requirement_applies(catalogue.load()[requirement], versions) is holds

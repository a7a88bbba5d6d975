from __future__ import annotations

from collections import Counter

import pytest

from conformance import catalogue
from conformance.catalogue import Catalogue, CatalogueError, Requirement, parse

ENTRY = """
- id: split-{name}
  api: TrafficSplit
  level: core
  versions: [split v1alpha1..v1alpha4]
  statement: A statement of twenty characters and more.
  source: apis/traffic-split
  observe: How that statement shows in what is observed.
"""


def one(**changes: object) -> Requirement:
    (entry,) = parse(ENTRY.format(name="one"), "split.yaml")
    return entry.model_copy(update=changes)


class TestTheCatalogue:
    def test_holds_every_statement_of_every_api(self) -> None:
        found = catalogue.load()
        assert len(found) == 181
        assert Counter(entry.api for entry in found.values()) == {
            "Common": 16,
            "TrafficSplit": 51,
            "TrafficAccess": 52,
            "TrafficSpecs": 29,
            "TrafficMetrics": 33,
        }

    def test_is_in_the_order_of_the_apis(self) -> None:
        apis = [entry.api for entry in catalogue.load().values()]
        assert list(dict.fromkeys(apis)) == list(catalogue.APIS)

    def test_names_versions_that_the_specification_has(self) -> None:
        newest = {"split": 4, "access": 4, "specs": 4, "metrics": 1}
        for entry in catalogue.load().values():
            for group, last in newest.items():
                assert all(int(version[-1]) <= last for version in entry.versions_of(group)), entry.id

    @pytest.mark.parametrize(
        ("level", "readings", "message"),
        [
            ("core", "{when: {a: at once, b: later}}", "only an ambiguous requirement has readings"),
            ("ambiguous", "{when: {a: at once}}", "'when' are not lettered as in the statement"),
            ("ambiguous", "{when: {b: later, a: at once}}", "'when' are not lettered"),
            ("ambiguous", "{when: {first: at once, second: later}}", "'when' are not lettered"),
        ],
        ids=["of what is judged", "one alone", "out of order", "not letters"],
    )
    def test_refuses_readings_among_which_none_can_be_told(
        self, level: str, readings: str, message: str
    ) -> None:
        text = ENTRY.format(name="one").replace("level: core", f"level: {level}")
        with pytest.raises(CatalogueError, match=message):
            parse(f"{text}  readings: {readings}\n", "split.yaml")

    def test_says_what_was_meant_where_an_id_is_misspelt(self) -> None:
        with pytest.raises(
            CatalogueError, match=r"'split-zero-wieght-gets-nothing'; did you mean split-zero-w"
        ):
            catalogue.load()["split-zero-wieght-gets-nothing"]

    def test_is_quiet_about_what_resembles_nothing(self) -> None:
        with pytest.raises(
            CatalogueError, match=r"^unknown requirement 'x' \(smi-conformance list shows all\)$"
        ):
            catalogue.load()["x"]


class TestAFile:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (("level: core", "level: vital"), "split.yaml: split-one: level: Input should be 'core'"),
            (("id: split-one", "id: Split One"), "split.yaml: Split One: id: String should match"),
            (
                ("v1alpha1..v1alpha4", "v1alpha4..v1alpha1"),
                "split.yaml: split-one: versions: .* is not a range",
            ),
            (
                ("[split v1alpha1..v1alpha4]", "[]"),
                "split.yaml: split-one: versions: Tuple should have at least",
            ),
            (("  source: apis/traffic-split\n", ""), "split.yaml: split-one: source: Field required"),
            (("  source:", "  sauce: x\n  source:"), "split.yaml: split-one: sauce: Extra inputs"),
            (("- id: split-one\n  api", "- api"), "split.yaml: entry 1: id: Field required"),
        ],
        ids=["level", "id", "range", "no versions", "no source", "misspelt field", "no id"],
    )
    def test_that_does_not_fit_is_named_with_entry_and_field(
        self, change: tuple[str, str], message: str
    ) -> None:
        with pytest.raises(CatalogueError, match=message):
            parse(ENTRY.format(name="one").replace(*change), "split.yaml")

    def test_that_is_no_list_is_named(self) -> None:
        with pytest.raises(CatalogueError, match=r"split\.yaml: not a list of requirements"):
            parse("id: split-one", "split.yaml")

    def test_with_an_id_of_another_is_an_error(self) -> None:
        with pytest.raises(CatalogueError, match="requirements with the same id: split-one"):
            Catalogue((one(), one()))


class TestARequirement:
    def test_applies_where_one_of_its_versions_is_claimed(self) -> None:
        late = one(versions=("split v1alpha3..v1alpha4",))
        assert late.applies({"split": ("v1alpha2", "v1alpha4")})
        assert not late.applies({"split": ("v1alpha2",)})

    def test_of_one_api_does_not_apply_by_another_group_it_mentions(self) -> None:
        both = one(versions=("split v1alpha1", "metrics v1alpha1"))
        assert not both.applies({"metrics": ("v1alpha1",)})

    def test_common_to_all_applies_by_any_group(self) -> None:
        common = one(api="Common", versions=("split v1alpha1", "metrics v1alpha1"))
        assert common.applies({"metrics": ("v1alpha1",)})
        assert not common.applies({"access": ("v1alpha3",)})

    def test_knows_each_version_of_a_range(self) -> None:
        assert one(versions=("split v1alpha2..v1alpha4",)).versions_of("split") == (
            "v1alpha2",
            "v1alpha3",
            "v1alpha4",
        )
        assert one().versions_of("metrics") == ()

"""Faults of versions and definitions do what they say, to definitions and objects as they are."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
from compiler_worlds import group, rule, split, target, tcp_route, world

from conformance import catalogue, profiles
from conformance.drive.version_selection import assignments, parse_version_choice, requirement_applies
from conformance.traceability import index
from smi_reference_mesh.faults import FAULTS
from smi_reference_mesh.objects import crds
from smi_reference_mesh.smi.conversion import convert
from smi_reference_mesh.smi.policies import policies_of

JSON = dict[str, Any]

# As the API server answers them: what an anchor of YAML makes one object is apart there.
DEFINITIONS = {each["metadata"]["name"]: each for each in json.loads(json.dumps(crds({"ca.crt": ""})))}
OF_DEFINITIONS = sorted(
    fault.id
    for fault in FAULTS.values()
    if fault.change is not None and fault.change.path.rpartition("/")[2] in DEFINITIONS
)


def changed(fault: str) -> tuple[JSON, JSON]:
    """A definition before and after a fault changes it."""
    change = FAULTS[fault].change
    assert change is not None
    before = DEFINITIONS[change.path.rpartition("/")[2]]
    return before, change.edit(before)


def takes(definition: JSON, version: str, item: JSON) -> bool:
    (schema,) = [each["schema"] for each in definition["spec"]["versions"] if each["name"] == version]
    return jsonschema.Draft4Validator(schema["openAPIV3Schema"]).is_valid(item)


@pytest.mark.parametrize("fault", OF_DEFINITIONS)
def test_a_definition_is_changed_in_a_copy(fault: str) -> None:
    name = FAULTS[fault].change.path.rpartition("/")[2]  # type: ignore[union-attr]
    kept = copy.deepcopy(DEFINITIONS[name])
    before, after = changed(fault)
    assert before == kept
    assert after["spec"] != before["spec"]
    assert after["metadata"] == before["metadata"]


@pytest.mark.parametrize(
    ("fault", "version", "item", "before", "after"),
    [
        ("crd-split-without-schema", "v1alpha4", {"spec": {"backends": "none"}}, False, True),
        ("crd-weight-takes-text", "v1alpha4", split("web", {"v1": "500m"}), False, True),
        ("crd-weight-takes-any-number", "v1alpha4", split("web", {"v1": 0.5}), False, True),
        ("crd-v1alpha2-wants-quantities", "v1alpha2", split("web", {"v1": 50}), True, False),
        ("crd-v1alpha2-wants-quantities", "v1alpha4", split("web", {"v1": 50}), True, True),
        ("crd-takes-any-method", "v1alpha4", group("g", {"name": "m", "methods": ["get"]}), False, True),
        ("crd-ports-by-name", "v1alpha4", {"spec": {"matches": {"ports": ["http"]}}}, False, True),
        ("crd-groups-of-any-shape", "v1alpha4", {"matches": []}, False, True),
        ("crd-groups-without-spec", "v1alpha3", {"matches": []}, False, True),
        ("crd-groups-without-spec", "v1alpha2", {"spec": {"matches": []}}, False, False),
        ("groups-without-spec-are-any", "v1alpha4", {"spec": {}}, False, False),
        ("crd-tcproute-prunes-ports", "v1alpha4", {"spec": {"matches": {"ports": ["http"]}}}, False, True),
    ],
)
def test_a_definition_takes_and_refuses_what_its_fault_says(
    fault: str, version: str, item: JSON, before: bool, after: bool
) -> None:
    whole, spoilt = changed(fault)
    assert (takes(whole, version, item), takes(spoilt, version, item)) == (before, after)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: str(fault.id))
def test_what_a_fault_breaks_is_asked_in_its_versions(fault: Any) -> None:
    claims = profiles.load("reference").claims.by_group()
    version_choice = parse_version_choice(fault.versions, claims)
    for one in fault.fails:
        spoken = [
            versions
            for entry in index.by_requirement()[one]
            for versions in assignments(claims, entry.scenario.groups, version_choice)
        ]
        assert any(requirement_applies(catalogue.load()[one], versions) for versions in spoken), one


def test_a_group_without_spec_is_made_one_that_covers_everything() -> None:
    bare = group("bare")
    del bare["spec"]
    spoiler = FAULTS["groups-without-spec-are-any"].spoiler()
    groups = policies_of(spoiler.world(world(bare, group("empty")))).groups
    assert {name: len(one.matches) for (_, name), one in groups.items()} == {"bare": 2, "empty": 0}


def test_matches_are_dropped_on_the_way() -> None:
    source = convert(split("web", {"v1": 1}, matches=["a"]), "split.smi-spec.io/v1alpha3")
    stored = convert(source, "split.smi-spec.io/v1alpha4")
    spoilt = FAULTS["conversion-drops-matches"].spoiler().converted(stored, source)
    assert "matches" in stored["spec"]
    assert "matches" not in spoilt["spec"]


def test_the_digits_of_a_quantity_are_taken_for_its_value() -> None:
    old = convert(split("web", {"v1": 1, "v2": 2}), "split.smi-spec.io/v1alpha1")
    old["spec"]["backends"] = [{"service": "v1", "weight": 1}, {"service": "v2", "weight": "500m"}]
    spoil = FAULTS["conversion-takes-digits"].spoiler().converted
    stored = spoil(convert(old, "split.smi-spec.io/v1alpha4"), old)
    assert [entry["weight"] for entry in stored["spec"]["backends"]] == [1, 500]
    back = convert(stored, "split.smi-spec.io/v1alpha1")
    assert [entry["weight"] for entry in back["spec"]["backends"]] != [1, "500m"]


def test_a_split_that_is_renamed_keeps_the_words_of_its_version() -> None:
    old = convert(split("web", {"v1": 1, "v2": 2}), "split.smi-spec.io/v1alpha1")
    old["spec"]["backends"][0]["weight"] = "500m"
    stored = convert(old, "split.smi-spec.io/v1alpha4")
    spoilt = FAULTS["conversion-renames-splits"].spoiler().converted(stored, old)
    assert spoilt == {**old, "apiVersion": "split.smi-spec.io/v1alpha4"}


def test_a_port_is_dropped_on_the_way_and_the_grant_stays() -> None:
    source = convert(target("v1", ["client"], [rule("HTTPRouteGroup", "g")]), "access.smi-spec.io/v1alpha2")
    source["spec"]["destination"]["port"] = 8080
    stored = convert(source, "access.smi-spec.io/v1alpha3")
    spoilt = FAULTS["conversion-drops-ports"].spoiler().converted(stored, source)
    found = [policies_of(world(one)).targets["shop", "target"] for one in (source, spoilt)]
    assert [one.port for one in found] == [8080, None]
    assert found[0].rules == found[1].rules


def test_groups_of_one_version_are_not_found_and_those_of_others_are() -> None:
    spoiler = FAULTS["specs-version-resolves-to-nothing"].spoiler()
    stored = []
    for version in ("v1alpha2", "v1alpha3"):
        source = convert(group(version, {"name": "m"}), f"specs.smi-spec.io/{version}")
        stored.append(spoiler.converted(convert(source, "specs.smi-spec.io/v1alpha4"), source))
    seen = policies_of(spoiler.world(world(*stored, tcp_route("t", 80))))
    assert set(seen.groups) == {("shop", "v1alpha2")}
    assert set(seen.tcp_routes) == {("shop", "t")}

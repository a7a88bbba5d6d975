"""Conversion of SMI objects between versions: a round trip loses nothing."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import jsonschema
import pytest
from compiler_snapshots import account, group, rule, snapshot, split, target, tcp_route, workload
from hypothesis import given, settings
from hypothesis import strategies as st
from test_compiler_crds import schema

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.kube.snapshot import KINDS
from smi_reference_mesh.smi.conversion import KEPT, Unconvertible, convert, review

JSON = dict[str, Any]

FOUR = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")
PAIRS = list(itertools.permutations(FOUR, 2))
WAYS = list(itertools.permutations(FOUR, 3))
GROUPS = {
    "TrafficSplit": "split.smi-spec.io",
    "TrafficTarget": "access.smi-spec.io",
    "HTTPRouteGroup": "specs.smi-spec.io",
    "TCPRoute": "specs.smi-spec.io",
}
PLURALS = {kind: f"{kind.lower()}s" for kind in GROUPS}
STORED = {kind.plural: kind.version for kind in KINDS}


def in_version(kind: str, version: str, body: JSON) -> JSON:
    return {
        "apiVersion": f"{GROUPS[kind]}/{version}",
        "kind": kind,
        "metadata": {"namespace": "shop", "name": "it", "creationTimestamp": "2024-01-01T00:00:00Z"},
        **body,
    }


# --- documents of each version, with every field that it has ----------------------------------

_names = st.sampled_from(["v1", "v2", "v3"])
_quantities = st.integers(0, 1000) | st.sampled_from(["500m", "1", "0m", "1500m", "1k", "10m", "0.5"])
_matches = st.lists(
    st.sampled_from(["a", "b"]).map(lambda name: {"kind": "HTTPRouteGroup", "name": name}), max_size=2
)
_namespaces = st.sampled_from([{}, {"namespace": "shop"}])


def splits(version: str) -> st.SearchStrategy[JSON]:
    weights = _quantities if version == "v1alpha1" else st.integers(0, 1000)
    backend = st.fixed_dictionaries({"service": _names, "weight": weights})
    fields = {"service": st.just("web"), "backends": st.lists(backend, min_size=1, max_size=3)}
    optional = {} if version in {"v1alpha1", "v1alpha2"} else {"matches": _matches}
    return st.fixed_dictionaries({"spec": st.fixed_dictionaries(fields, optional=optional)})


def subjects(version: str, *, port: bool = False) -> st.SearchStrategy[JSON]:
    kinds = st.sampled_from(["ServiceAccount", "IdentityBinding"])
    optional: dict[str, Any] = {"namespace": st.just("shop")}
    if version == "v1alpha4":
        optional["group"] = st.sampled_from(["", "access.smi-spec.io", "other.example"])
    if port and version in {"v1alpha1", "v1alpha2"}:
        optional["port"] = st.sampled_from([8080, 9000])
    return st.fixed_dictionaries({"kind": kinds, "name": _names}, optional=optional)


def targets(version: str) -> st.SearchStrategy[JSON]:
    kinds = ["HTTPRouteGroup", "TCPRoute", *(["UDPRoute"] if version in {"v1alpha3", "v1alpha4"} else [])]
    one = st.fixed_dictionaries(
        {"kind": st.sampled_from(kinds), "name": _names},
        optional={"matches": st.lists(st.sampled_from(["a", "b"]), max_size=2)},
    )
    body = {
        "destination": subjects(version, port=True),
        "specs" if version == "v1alpha1" else "rules": st.lists(one, max_size=3),
        "sources": st.lists(subjects(version), max_size=3),
    }
    found = st.fixed_dictionaries(body)
    return found if version == "v1alpha1" else found.map(lambda spec: {"spec": spec})


def groups(version: str) -> st.SearchStrategy[JSON]:
    optional: dict[str, Any] = {
        "pathRegex": st.sampled_from(["/a", ".*"]),
        "methods": st.lists(st.sampled_from(["GET", "*"]), max_size=2),
    }
    if version != "v1alpha1":
        optional["headers"] = st.dictionaries(st.sampled_from(["x-a", "X-B"]), st.just("1"), max_size=2)
    match = st.fixed_dictionaries({"name": _names}, optional=optional)
    found = st.fixed_dictionaries({"matches": st.lists(match, max_size=3)})
    return found if version in {"v1alpha1", "v1alpha2"} else found.map(lambda spec: {"spec": spec})


def tcp_routes(version: str) -> st.SearchStrategy[JSON]:
    if version in {"v1alpha1", "v1alpha2"}:
        return st.just({})
    if version == "v1alpha3":
        return st.sampled_from([{}, {"spec": {}}])
    ports = st.lists(st.integers(1, 65535), max_size=2)
    matches = st.fixed_dictionaries({}, optional={"ports": ports})
    return st.fixed_dictionaries(
        {}, optional={"spec": st.fixed_dictionaries({}, optional={"matches": matches})}
    )


DOCUMENTS = {
    "TrafficSplit": splits,
    "TrafficTarget": targets,
    "HTTPRouteGroup": groups,
    "TCPRoute": tcp_routes,
}


@pytest.mark.parametrize(("version", "other"), PAIRS, ids=[" to ".join(pair) for pair in PAIRS])
@pytest.mark.parametrize("kind", GROUPS)
@settings(max_examples=40)
@given(st.data())
def test_a_round_trip_loses_nothing(kind: str, version: str, other: str, data: st.DataObject) -> None:
    item = in_version(kind, version, data.draw(DOCUMENTS[kind](version)))
    there = convert(item, f"{GROUPS[kind]}/{other}")
    assert there["apiVersion"] == f"{GROUPS[kind]}/{other}"
    assert convert(there, f"{GROUPS[kind]}/{version}") == item


@pytest.mark.parametrize("versions", WAYS, ids=" to ".join)
@pytest.mark.parametrize("kind", GROUPS)
@settings(max_examples=20)
@given(st.data())
def test_an_intermediate_version_loses_nothing(
    kind: str, versions: tuple[str, str, str], data: st.DataObject
) -> None:
    first, second, third = versions
    item = in_version(kind, first, data.draw(DOCUMENTS[kind](first)))
    found = item
    for version in (second, third, second, first):
        found = convert(found, f"{GROUPS[kind]}/{version}")
    assert found == item


@pytest.mark.parametrize(("version", "other"), PAIRS, ids=[" to ".join(pair) for pair in PAIRS])
@pytest.mark.parametrize("kind", GROUPS)
@settings(max_examples=30)
@given(st.data())
def test_results_fit_the_schema_of_their_version(
    kind: str, version: str, other: str, data: st.DataObject
) -> None:
    item = in_version(kind, version, data.draw(DOCUMENTS[kind](version)))
    there = convert(item, f"{GROUPS[kind]}/{other}")
    wanted = schema(PLURALS[kind], other)
    jsonschema.Draft4Validator(wanted).validate(there)
    assert _unknown(there, wanted) == []


def _unknown(value: Any, wanted: JSON, path: str = "") -> list[str]:
    """Fields that the API server would prune by a structural schema."""
    if isinstance(value, list):
        return [name for each in value for name in _unknown(each, wanted.get("items", {}), path)]
    if not isinstance(value, dict) or "additionalProperties" in wanted:
        return []
    known = wanted.get("properties", {})
    head = {"apiVersion", "kind", "metadata"} if not path else set()
    found = [f"{path}.{name}" for name in value if name not in known and name not in head]
    return found + [
        name
        for key, each in value.items()
        if key in known
        for name in _unknown(each, known[key], f"{path}.{key}")
    ]


@pytest.mark.parametrize("version", FOUR)
@settings(max_examples=60)
@given(st.data())
def test_the_compiler_treats_the_stored_object_the_same(version: str, data: st.DataObject) -> None:
    written = [
        in_version(kind, version, data.draw(DOCUMENTS[kind](version)))
        for kind in ("TrafficSplit", "TrafficTarget", "HTTPRouteGroup", "TCPRoute")
    ]
    stored = [convert(item, f"{GROUPS[item['kind']]}/{STORED[PLURALS[item['kind']]]}") for item in written]
    for name in ("client", "v1"):
        assert (
            compile(snapshot(*stored), workload(name)).files()
            == compile(snapshot(*written), workload(name)).files()
        )


# --- what an edit in an older version leaves --------------------------------------------------


def converted(item: JSON, version: str) -> JSON:
    return convert(item, f"{item['apiVersion'].partition('/')[0]}/{version}")


def test_quantities_become_integers_of_the_same_proportion() -> None:
    backends = [{"service": "v1", "weight": 1}, {"service": "v2", "weight": "500m"}]
    old = in_version("TrafficSplit", "v1alpha1", {"spec": {"service": "web", "backends": backends}})
    assert [entry["weight"] for entry in converted(old, "v1alpha4")["spec"]["backends"]] == [2, 1]


def test_edited_weights_are_not_restored() -> None:
    backends = [{"service": "v1", "weight": 1}, {"service": "v2", "weight": "500m"}]
    old = in_version("TrafficSplit", "v1alpha1", {"spec": {"service": "web", "backends": backends}})
    new = converted(old, "v1alpha4")
    new["spec"]["backends"][1]["weight"] = 0
    assert [entry["weight"] for entry in converted(new, "v1alpha1")["spec"]["backends"]] == [2, 0]


def test_a_split_does_not_lose_its_matches_to_an_edit_in_an_older_version() -> None:
    old = converted(split("web", {"v1": 1, "v2": 2}, matches=["a"]), "v1alpha2")
    assert "matches" not in old["spec"]
    old["spec"]["backends"][0]["weight"] = 7
    new = converted(old, "v1alpha4")
    assert new["spec"]["matches"] == [{"kind": "HTTPRouteGroup", "name": "a"}]
    assert KEPT not in new["metadata"].get("annotations", {})


def test_a_target_keeps_its_port_where_there_is_no_field_for_it() -> None:
    old = in_version(
        "TrafficTarget",
        "v1alpha2",
        {"spec": {"destination": {**account("v1"), "port": 8080}, "rules": [], "sources": []}},
    )
    new = converted(old, "v1alpha3")
    assert "port" not in new["spec"]["destination"]
    assert json.loads(new["metadata"]["annotations"][KEPT]) == {"port": 8080}


def test_headers_follow_their_match_when_the_matches_are_reordered_in_the_oldest_version() -> None:
    written = group(
        "routes", {"name": "a", "headers": {"x": "1"}}, {"name": "b"}, {"name": "c", "headers": {"y": "2"}}
    )
    old = converted(written, "v1alpha1")
    old["matches"].reverse()
    matches = converted(old, "v1alpha4")["spec"]["matches"]
    assert [(match["name"], match.get("headers")) for match in matches] == [
        ("c", {"y": "2"}),
        ("b", None),
        ("a", {"x": "1"}),
    ]


def test_other_annotations_stay() -> None:
    written = split("web", {"v1": 1}, matches=["a"])
    written["metadata"]["annotations"] = {"mine": "yes"}
    old = converted(written, "v1alpha2")
    assert old["metadata"]["annotations"].keys() == {"mine", KEPT}
    assert converted(old, "v1alpha4") == written


@pytest.mark.parametrize("kept", ["", "no JSON", "[]", "7", '{"matches": 7, "weights": 3}', '{"port": []}'])
def test_an_invalid_annotation_does_not_make_an_object_unreadable(kept: str) -> None:
    for written in (
        split("web", {"v1": 1}),
        target("v1", ["client"], [rule("TCPRoute", "t")]),
        tcp_route("t", 80),
    ):
        item = copy.deepcopy(written)
        item["metadata"]["annotations"] = {KEPT: kept}
        assert converted(item, "v1alpha3")["apiVersion"].endswith("v1alpha3")


# --- the protocol -----------------------------------------------------------------------------


def asked(desired: str, *objects: JSON) -> JSON:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "request": {"uid": "u", "desiredAPIVersion": desired, "objects": list(objects)},
    }


def test_a_review_is_answered_in_the_order_of_its_objects() -> None:
    document = asked("split.smi-spec.io/v1alpha2", split("a", {"v1": 1}), split("b", {"v1": 1}))
    answer = review(document)
    assert (answer["kind"], answer["response"]["uid"]) == ("ConversionReview", "u")
    assert answer["response"]["result"] == {"status": "Success"}
    assert [item["spec"]["service"] for item in answer["response"]["convertedObjects"]] == ["a", "b"]


def test_a_review_does_not_mutate_its_input() -> None:
    document = asked("split.smi-spec.io/v1alpha1", split("a", {"v1": 1}, matches=["m"]))
    before = copy.deepcopy(document)
    review(document)
    assert document == before


@pytest.mark.parametrize(
    "item",
    [
        split("a", {"v1": 1}),
        {**tcp_route("t", 1), "kind": "GRPCRoute"},
        {**group("g"), "spec": None},
    ],
    ids=["another API", "unknown kind", "no body"],
)
def test_a_review_of_an_unconvertible_object_fails_with_the_reason(item: JSON) -> None:
    response = review(asked("specs.smi-spec.io/v1alpha2", item))["response"]
    assert response["result"]["status"] == "Failed"
    assert response["result"]["message"]
    assert response["convertedObjects"] == []
    with pytest.raises(Unconvertible):
        convert(item, "specs.smi-spec.io/v1alpha2")


def test_a_fault_may_edit_converted_objects() -> None:
    def drop(item: JSON, source: Any) -> JSON:
        return {**item, "spec": {"was": source["apiVersion"]}}

    response = review(asked("split.smi-spec.io/v1alpha3", split("a", {"v1": 1})), drop)["response"]
    assert response["convertedObjects"][0]["spec"] == {"was": "split.smi-spec.io/v1alpha4"}

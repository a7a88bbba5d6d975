"""SMI objects of all versions are parsed into one model; invalid ones become problems."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from compiler_snapshots import PLURALS, group, snapshot, split, target, workload
from hypothesis import given, settings
from hypothesis import strategies as st

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.smi.model import Match
from smi_reference_mesh.smi.policies import Policies, policies_of

JSON = dict[str, Any]


def read(version: str, kind: str, **body: Any) -> Policies:
    groups = {"TrafficSplit": "split", "TrafficTarget": "access"}
    source = {
        "apiVersion": f"{groups.get(kind, 'specs')}.smi-spec.io/{version}",
        "kind": kind,
        "metadata": {"namespace": "shop", "name": "it"},
        **body,
    }
    return policies_of(ClusterSnapshot({PLURALS[kind]: (source,)}))


IT = ("shop", "it")


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (1, 1),
        ("500m", "1/2"),
        ("1", 1),
        ("0m", 0),
        ("1500m", "3/2"),
        ("1k", 1000),
        ("1e3", 1000),
        ("2Ki", 2048),
    ],
)
def test_weights_of_v1alpha1_are_quantities(weight: object, expected: int | str) -> None:
    backends = [{"service": "v1", "weight": weight}]
    policies = read("v1alpha1", "TrafficSplit", spec={"service": "web", "backends": backends})
    assert policies.splits[IT].backends[0].weight == Fraction(expected)


@pytest.mark.parametrize("weight", ["500m", "1", None, True, -1, float("nan"), float("inf"), [1]])
def test_weights_from_v1alpha2_are_numbers(weight: object) -> None:
    backends = [{"service": "v1", "weight": weight}]
    policies = read("v1alpha2", "TrafficSplit", spec={"service": "web", "backends": backends})
    assert policies.splits == {}
    assert [each.kind for each in policies.problems] == ["TrafficSplit"]


def test_a_service_that_is_listed_twice_gets_both_weights() -> None:
    backends = [{"service": "v1", "weight": 1}, {"service": "v1.shop", "weight": 2}]
    (backend,) = (
        read("v1alpha4", "TrafficSplit", spec={"service": "web", "backends": backends}).splits[IT].backends
    )
    assert (backend.service, backend.weight) == ("v1", 3)


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_old_route_groups_have_their_matches_at_top_level(version: str) -> None:
    matches = [{"name": "m", "pathRegex": "/x", "methods": ["GET"]}]
    found = read(version, "HTTPRouteGroup", matches=matches).groups[IT]
    assert found.matches == (Match("m", "/x", ("GET",)),)


@pytest.mark.parametrize(
    "headers", [{"X-A": "1", "b": "2"}, [{"X-A": "1"}, {"b": "2"}], [{"b": "2", "X-A": "1"}]]
)
def test_headers_are_a_map_or_a_list_of_maps(headers: object) -> None:
    spec = {"matches": [{"name": "m", "headers": headers}]}
    (match,) = read("v1alpha4", "HTTPRouteGroup", spec=spec).groups[IT].matches
    assert match == Match("m", headers=(("b", "2"), ("x-a", "1")))


@pytest.mark.parametrize(
    "match",
    [
        {"pathRegex": "/nameless"},
        {"name": "m", "pathRegex": "("},
        {"name": "m", "pathRegex": "(?!admin).*"},
        {"name": "m", "pathRegex": ""},
        {"name": "m", "pathRegex": 7},
        {"name": "m", "methods": ["get"]},
        {"name": "m", "methods": "GET"},
        {"name": "m", "headers": {"a b": "x"}},
        {"name": "m", "headers": {"a": "["}},
        {"name": "m", "headers": "a: b"},
    ],
)
def test_an_invalid_match_never_matches_and_others_do(match: JSON) -> None:
    good = {"name": "good", "pathRegex": "/good"}
    policies = read("v1alpha4", "HTTPRouteGroup", spec={"matches": [match, good]})
    assert [each.name for each in policies.groups[IT].matches] == ["good"]
    assert len(policies.problems) == 1


def test_a_star_and_no_methods_are_any_method() -> None:
    matches = [{"name": "a", "methods": ["GET", "*"]}, {"name": "b"}]
    found = read("v1alpha4", "HTTPRouteGroup", spec={"matches": matches}).groups[IT]
    assert [each.methods for each in found.matches] == [None, None]


@pytest.mark.parametrize(
    ("body", "ports"),
    [
        ({}, None),
        ({"spec": {}}, None),
        ({"spec": {"matches": {}}}, None),
        ({"spec": {"matches": {"ports": []}}}, None),
        ({"spec": {"matches": {"ports": [80, 81]}}}, {80, 81}),
        ({"spec": {"matches": {"ports": [73842, 80]}}}, {80}),
        ({"spec": {"matches": {"ports": ["http", 0]}}}, set()),
    ],
)
def test_tcp_routes_without_ports_stand_for_all_ports(body: JSON, ports: set[int] | None) -> None:
    assert read("v1alpha4", "TCPRoute", **body).tcp_routes[IT].ports == ports


def test_a_target_of_v1alpha1_has_no_spec_and_calls_its_rules_specs() -> None:
    policies = read(
        "v1alpha1",
        "TrafficTarget",
        destination={"kind": "ServiceAccount", "name": "v1", "namespace": "shop", "port": 8080},
        specs=[{"kind": "HTTPRouteGroup", "name": "routes", "matches": ["m"]}],
        sources=[{"kind": "ServiceAccount", "name": "client"}],
    )
    found = policies.targets[IT]
    assert (found.destination.name, found.port) == ("v1", 8080)
    assert found.rules[0].matches == ("m",)
    assert (found.sources[0].namespace, found.sources[0].name) == ("shop", "client")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def _odd(source: JSON) -> st.SearchStrategy[JSON]:
    """The object with a random value at a random place below its spec."""

    def places(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        entries = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        return [path, *(place for key, each in entries for place in places(each, (*path, key)))]

    def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
        if not path:
            return new
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[path[0]] = put(copy[path[0]], path[1:], new)
        return copy

    spots = places(source["spec"], ("spec",))
    odd: st.SearchStrategy[JSON] = st.tuples(st.sampled_from(spots), _VALUES).map(
        lambda each: put(source, each[0], each[1])
    )
    return odd


_GOOD = [
    split("web", {"v1": 1, "v2": 2}, matches=["routes"]),
    group("routes", {"name": "m", "pathRegex": "/.*", "methods": ["GET"], "headers": {"a": "b"}}),
    target("v1", ["client"], [{"kind": "HTTPRouteGroup", "name": "routes", "matches": ["m"]}]),
    {**group("ports"), "kind": "TCPRoute", "spec": {"matches": {"ports": [80]}}},
    {
        **group("binding"),
        "kind": "IdentityBinding",
        "spec": {
            "schemes": {"podLabelSelectors": [{"matchLabels": {"a": "b"}}], "spiffeIdentities": ["x/y"]}
        },
    },
]


@settings(max_examples=300)
@given(st.sampled_from(_GOOD).flatmap(_odd))
def test_no_object_content_prevents_compilation_of_the_others(odd: JSON) -> None:
    other = split("db", {"db2": 1}, name="other")
    configuration = compile(snapshot(odd, other), workload("v1"))
    text = configuration.files()["lds.json"]
    assert "outbound|shop|db2|9000" in text

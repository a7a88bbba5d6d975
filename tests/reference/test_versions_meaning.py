"""A fixture means the same in each version that has words for it: it is understood to be the same."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_worlds import account, group, rule, split, target, tcp_route, workload, world
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.drive.rendering import HeaderForm, NotInVersion, ports, render
from conformance.drive.version_selection import VersionChoice, assignments
from smi_reference_mesh.compiler import compile
from smi_reference_mesh.compiler.access import grants
from smi_reference_mesh.compiler.mesh import mesh_of

JSON = dict[str, Any]

FOUR = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")
CLAIMS = {"split": FOUR, "access": FOUR, "specs": FOUR}
SPLIT_SETS = assignments(CLAIMS, ("split", "specs"), VersionChoice("all"))
ACCESS_SETS = assignments(CLAIMS, ("access", "specs"), VersionChoice("all"))
FORMS: tuple[HeaderForm, ...] = ("map", "list")

_matches = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b"])},
    optional={
        "pathRegex": st.sampled_from(["/a", "/b/.*", ".*"]),
        "methods": st.lists(st.sampled_from(["GET", "POST", "*"]), max_size=2, unique=True),
        "headers": st.dictionaries(
            st.sampled_from(["x-a", "X-B"]), st.sampled_from(["1", ".*z"]), max_size=2
        ),
    },
)
_groups = st.lists(_matches, min_size=1, max_size=3).map(lambda matches: group("routes", *matches))
_ports = st.lists(st.sampled_from([8080, 8081, 9000]), max_size=2, unique=True)
_rules = st.lists(
    st.sampled_from(
        [rule("HTTPRouteGroup", "routes"), rule("HTTPRouteGroup", "routes", "a"), rule("TCPRoute", "one"),
         rule("TCPRoute", "two"), rule("UDPRoute", "udp")]
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip
_sources = st.lists(
    st.sampled_from(["client", account("stranger"), {"kind": "IdentityBinding", "name": "it", "group": ""}]),
    min_size=1,
    max_size=2,
)
_weights = st.dictionaries(st.sampled_from(["v1", "v2"]), st.integers(0, 10**6), min_size=1)


def meaning(*policies: JSON) -> dict[str, dict[str, str]]:
    made = world(*policies)
    return {name: compile(made, workload(name)).files() for name in ("client", "v1")}


def granted(*policies: JSON) -> list[Any]:
    """Who may send what to v1, on ports that some route lists, that one other server has, and that none has.

    Configurations may differ where grants do not: a listed port has a filter chain of its own, also where all
    ports are open anyway.
    """
    made = mesh_of(world(*policies))
    return [
        (grant.callers, port, grant.http_permissions(port), port in grant.raw)
        for grant in grants(made, made.pods["shop", "v1"])
        for port in (8080, 8081, 9000, 1234)
    ]


def rendered(policies: list[JSON], versions: dict[str, str], form: HeaderForm) -> list[JSON] | None:
    try:
        return [render(item, versions, ports(policies), form) for item in policies]
    except NotInVersion:
        return None


@pytest.mark.parametrize("versions", ACCESS_SETS, ids=str)
@settings(max_examples=40)
@given(groups=_groups, one=_ports, two=_ports, rules=_rules, sources=_sources, form=st.sampled_from(FORMS))
def test_a_target_grants_the_same_in_every_version(
    versions: dict[str, str],
    groups: JSON,
    one: list[int],
    two: list[int],
    rules: list[JSON],
    sources: list[Any],
    form: HeaderForm,
) -> None:
    written = [groups, tcp_route("one", *one), tcp_route("two", *two), target("v1", sources, rules)]
    found = rendered(written, versions, form)
    if found is not None:
        assert {item["apiVersion"].rpartition("/")[2] for item in found} == set(versions.values())
        assert granted(*found) == granted(*written)


@pytest.mark.parametrize("versions", SPLIT_SETS, ids=str)
@settings(max_examples=40)
@given(weights=_weights, groups=_groups, by_match=st.booleans(), form=st.sampled_from(FORMS))
def test_a_split_divides_the_same_in_every_version(
    versions: dict[str, str], weights: dict[str, int], groups: JSON, by_match: bool, form: HeaderForm
) -> None:
    written = [groups, split("web", weights, matches=["routes"] if by_match else None)]
    found = rendered(written, versions, form)
    if found is not None:
        assert meaning(*found) == meaning(*written)
    elif versions["split"] in {"v1alpha3", "v1alpha4"}:
        pytest.fail(f"{versions} has words for every split")


def test_a_target_on_one_port_is_expressible_in_every_set_of_versions() -> None:
    routes = group("routes", {"name": "a", "pathRegex": "/a", "methods": ["GET"]})
    for rules in ([rule("HTTPRouteGroup", "routes"), rule("TCPRoute", "one")], [rule("TCPRoute", "one")]):
        written = [routes, tcp_route("one", 8080), target("v1", ["client"], rules)]
        for versions in ACCESS_SETS:
            found = rendered(written, versions, "map")
            assert found is not None
            assert granted(*found) == granted(*written)
            assert meaning(*found) == meaning(*written)


def test_the_oldest_versions_have_their_fields_at_top_level() -> None:
    versions = {"access": "v1alpha1", "specs": "v1alpha1"}
    written = [
        group("routes", {"name": "a", "pathRegex": "/a", "methods": ["GET"]}),
        tcp_route("one", 8080),
        target("v1", ["client"], [rule("HTTPRouteGroup", "routes"), rule("TCPRoute", "one")]),
    ]
    routes, tcp, old = rendered(written, versions, "map") or []
    assert routes.keys() == {"apiVersion", "kind", "metadata", "matches"}
    assert tcp.keys() == {"apiVersion", "kind", "metadata"}
    assert old.keys() == {"apiVersion", "kind", "metadata", "destination", "specs", "sources"}
    assert old["destination"]["port"] == 8080


def test_weights_of_v1alpha1_are_quantities() -> None:
    found = render(split("web", {"v1": 80, "v2": 0}), {"split": "v1alpha1"})
    assert [entry["weight"] for entry in found["spec"]["backends"]] == ["80", "0"]


def test_one_route_without_ports_leaves_the_target_without_one() -> None:
    written = target("v1", ["client"], [rule("TCPRoute", "one"), rule("TCPRoute", "two")])
    found = render(written, {"access": "v1alpha2"}, {"one": (8080,), "two": ()})
    assert "port" not in found["spec"]["destination"]


@pytest.mark.parametrize(
    ("item", "versions", "reason"),
    [
        (target("v1", [{"kind": "IdentityBinding", "name": "b"}], []), {"access": "v1alpha3"},
         "refers to ServiceAccounts only"),
        ({"kind": "IdentityBinding", "apiVersion": "access.smi-spec.io/v1alpha4", "metadata": {"name": "b"}},
         {"access": "v1alpha3"}, "has no IdentityBinding"),
        ({**split("web", {"v1": "500m"}), "apiVersion": "split.smi-spec.io/v1alpha1"}, {"split": "v1alpha4"},
         "TrafficSplit split is about split v1alpha1 only"),
    ],
    ids=["subject", "binding", "fixture of an old version"],
)  # fmt: skip
def test_what_a_version_has_no_words_for_is_said(item: JSON, versions: dict[str, str], reason: str) -> None:
    with pytest.raises(NotInVersion, match=reason):
        render(item, versions)

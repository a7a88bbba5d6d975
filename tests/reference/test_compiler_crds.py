"""The custom resource definitions: the documents that each served version accepts."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from compiler_snapshots import account, binding, group, rule, split, target, tcp_route

from smi_reference_mesh.kube.snapshot import KINDS

JSON = dict[str, Any]

DIRECTORY = Path(__file__).parents[2] / "smi_reference_mesh/install/crds"
DEFINITIONS = {
    each["spec"]["names"]["plural"]: each
    for each in (yaml.safe_load(path.read_text()) for path in sorted(DIRECTORY.glob("*.yaml")))
}

GOOD: dict[str, JSON] = {
    "trafficsplits": split("web", {"v1": 0, "v2": 100}, matches=["a"]),
    "traffictargets": target("v1", ["client"], [rule("HTTPRouteGroup", "a", "m"), rule("UDPRoute", "b")]),
    "identitybindings": binding("b", serviceAccount="v1", spiffeIdentities=["a/b"]),
    "httproutegroups": group(
        "a", {"name": "m", "pathRegex": "/", "methods": ["*", "GET"], "headers": {"a": "b"}}
    ),
    "tcproutes": tcp_route("t", 80),
    "udproutes": tcp_route("u", 80),
}


def schema(plural: str, version: str) -> JSON:
    (found,) = (each for each in DEFINITIONS[plural]["spec"]["versions"] if each["name"] == version)
    assert isinstance(found, dict)
    result: JSON = found["schema"]["openAPIV3Schema"]
    return result


def refuses(plural: str, document: JSON, version: str = "v1alpha4") -> bool:
    return bool(list(jsonschema.Draft4Validator(schema(plural, version)).iter_errors(document)))


def test_a_snapshot_has_the_stored_version_of_each_kind() -> None:
    stored = {
        plural: next(each["name"] for each in definition["spec"]["versions"] if each["storage"])
        for plural, definition in DEFINITIONS.items()
    }
    assert stored == {kind.plural: kind.version for kind in KINDS if kind.group.endswith(".smi-spec.io")}
    for kind in KINDS:
        if kind.plural in DEFINITIONS:
            assert DEFINITIONS[kind.plural]["metadata"]["name"] == f"{kind.plural}.{kind.group}"


def test_names_are_those_of_the_reference_definitions() -> None:
    short = {plural: each["spec"]["names"].get("shortNames") for plural, each in DEFINITIONS.items()}
    assert short == {
        "trafficsplits": ["ts"],
        "traffictargets": ["tt"],
        "httproutegroups": ["htr"],
        "tcproutes": ["tr"],
        "udproutes": ["ur"],
        "identitybindings": None,
    }
    for version in DEFINITIONS["trafficsplits"]["spec"]["versions"]:
        assert "Service" in {each["name"] for each in version["additionalPrinterColumns"]}


@pytest.mark.parametrize("plural", GOOD)
def test_documents_of_the_specification_are_accepted(plural: str) -> None:
    assert not refuses(plural, GOOD[plural])


@pytest.mark.parametrize(
    ("plural", "path", "value"),
    [
        ("trafficsplits", "spec", None),
        ("trafficsplits", "spec.service", None),
        ("trafficsplits", "spec.service", ["web"]),
        ("trafficsplits", "spec.backends", None),
        ("trafficsplits", "spec.backends", {"v1": 1}),
        ("trafficsplits", "spec.backends.0.service", None),
        ("trafficsplits", "spec.backends.0.weight", None),
        ("trafficsplits", "spec.backends.0.weight", "500m"),
        ("trafficsplits", "spec.backends.0.weight", -1),
        ("trafficsplits", "spec.backends.0.weight", 0.5),
        ("trafficsplits", "spec.matches.0.kind", None),
        ("trafficsplits", "spec.matches.0.kind", "TCPRoute"),
        ("trafficsplits", "spec.matches.0.name", None),
        ("traffictargets", "spec.destination", None),
        ("traffictargets", "spec.destination.name", None),
        ("traffictargets", "spec.rules", None),
        ("traffictargets", "spec.rules.0.kind", "GRPCRoute"),
        ("traffictargets", "spec.rules.0.name", None),
        ("traffictargets", "spec.sources", None),
        ("traffictargets", "spec.sources.0.kind", None),
        ("identitybindings", "spec.schemes", None),
        ("identitybindings", "spec.schemes.podLabelSelectors", [{"matchLabels": {}}]),
        ("httproutegroups", "spec.matches", None),
        ("httproutegroups", "spec.matches.0.name", None),
        ("httproutegroups", "spec.matches.0.methods", ["get"]),
        ("httproutegroups", "spec.matches.0.pathRegex", 7),
        ("tcproutes", "spec.matches.ports", ["http"]),
        ("tcproutes", "spec.matches.ports", [0]),
        ("tcproutes", "spec.matches.ports", [70000]),
        ("tcproutes", "spec.matches", []),
        ("udproutes", "spec.matches.ports", ["http"]),
    ],
)
def test_violations_are_refused(plural: str, path: str, value: object) -> None:
    document = copy.deepcopy(GOOD[plural])
    *parents, last = path.split(".")
    place: Any = document
    for each in parents:
        place = place[int(each)] if each.isdigit() else place[each]
    if value is None:
        del place[last]
    else:
        place[last] = value
    assert refuses(plural, document)


def test_fields_are_stored_by_the_versions_that_define_them() -> None:
    def fields(plural: str, version: str, *path: str) -> set[str]:
        place: Any = schema(plural, version)
        for each in path:
            place = place["properties"][each]
        return set(place.get("properties", ()))

    for old in ("v1alpha1", "v1alpha2"):
        assert fields("trafficsplits", old, "spec") == {"service", "backends"}
        assert "port" in fields(
            "traffictargets", old, *(["spec"] if old == "v1alpha2" else []), "destination"
        )
        assert fields("httproutegroups", old) == {"matches"}
        assert fields("tcproutes", old) == set()
    assert fields("trafficsplits", "v1alpha3", "spec") == {"service", "backends", "matches"}
    assert fields("traffictargets", "v1alpha1") == {"destination", "specs", "sources"}
    assert "port" not in fields("traffictargets", "v1alpha3", "spec", "destination")
    assert "group" not in fields("traffictargets", "v1alpha3", "spec", "destination")
    assert "group" in fields("traffictargets", "v1alpha4", "spec", "destination")
    assert fields("tcproutes", "v1alpha3", "spec") == set()


OLD: dict[tuple[str, str], JSON] = {
    ("trafficsplits", "v1alpha1"): split("web", {"v1": 1, "v2": "500m"}),
    ("traffictargets", "v1alpha1"): {
        "destination": {"kind": "ServiceAccount", "name": "v1", "namespace": "shop", "port": 8080},
        "specs": [{"kind": "HTTPRouteGroup", "name": "a", "matches": ["m"]}],
        "sources": [{"kind": "ServiceAccount", "name": "client", "namespace": "shop"}],
    },
    ("traffictargets", "v1alpha2"): {
        "spec": {
            "destination": {"kind": "ServiceAccount", "name": "v1", "port": 8080},
            "rules": [{"kind": "TCPRoute", "name": "a"}],
            "sources": [{"kind": "ServiceAccount", "name": "client"}],
        }
    },
    ("httproutegroups", "v1alpha1"): {"matches": [{"name": "m", "pathRegex": "/", "methods": ["*"]}]},
    ("httproutegroups", "v1alpha2"): {"matches": [{"name": "m", "headers": {"a": "b"}}]},
    ("tcproutes", "v1alpha1"): {},
    ("tcproutes", "v1alpha2"): {},
    ("tcproutes", "v1alpha3"): {"spec": {}},
}


@pytest.mark.parametrize(("plural", "version"), OLD)
def test_documents_of_older_versions_are_accepted(plural: str, version: str) -> None:
    assert not refuses(plural, OLD[plural, version], version)


@pytest.mark.parametrize(
    ("plural", "version", "document"),
    [
        ("trafficsplits", "v1alpha1", split("web", {"v": "many"})),
        ("trafficsplits", "v1alpha1", split("web", {"v": -1})),
        ("trafficsplits", "v1alpha2", split("web", {"v": "1"})),
        ("traffictargets", "v1alpha1", {"spec": OLD["traffictargets", "v1alpha2"]["spec"]}),
        ("traffictargets", "v1alpha2", OLD["traffictargets", "v1alpha1"]),
        ("traffictargets", "v1alpha2", {"spec": {"destination": {**account("v"), "port": "http"}}}),
        ("httproutegroups", "v1alpha1", {"spec": {"matches": []}}),
        ("httproutegroups", "v1alpha2", {"matches": [{"pathRegex": "/nameless"}]}),
    ],
)
def test_violations_of_older_versions_are_refused(plural: str, version: str, document: JSON) -> None:
    assert refuses(plural, document, version)


def test_every_version_of_the_specification_is_served_and_the_newest_stable_one_stored() -> None:
    served = {
        plural: {each["name"] for each in definition["spec"]["versions"] if each["served"]}
        for plural, definition in DEFINITIONS.items()
    }
    four = {f"v1alpha{number}" for number in range(1, 5)}
    assert served == dict.fromkeys(served, four) | {
        "udproutes": {"v1alpha4"},
        "identitybindings": {"v1alpha4"},
    }
    for plural, definition in DEFINITIONS.items():
        converted = definition["spec"]["conversion"]["strategy"] == "Webhook"
        assert converted is (len(served[plural]) > 1)
    assert {kind.plural: kind.version for kind in KINDS if kind.plural in DEFINITIONS} == {
        "trafficsplits": "v1alpha4",
        "traffictargets": "v1alpha3",
        "identitybindings": "v1alpha4",
        "httproutegroups": "v1alpha4",
        "tcproutes": "v1alpha4",
        "udproutes": "v1alpha4",
    }

"""What a cluster asks of all that is created in it: on every object, in every pod, in no report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.cli import main
from conformance.clusters import Object
from conformance.drive.cluster_rules import (
    ClusterRules,
    RuleError,
    parse_pair,
    parse_toleration,
    read_registries,
)
from conformance.drive.manifests import RUN_LABEL

from .conftest import Bench

OPTIONS = [
    *("--label", "team=mesh", "--annotation", "owner=me@example.org", "--node-selector", "pool=tests"),
    *("--toleration", "dedicated=mesh:NoSchedule", "--request", "cpu=50m", "--limit", "cpu=1"),
    "--open-network",
]


def pods(objects: list[Object]) -> list[Any]:
    """The specs of all pods, their own and those of Deployments."""
    own = [one["spec"] for one in objects if one["kind"] == "Pod"]
    return own + [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"]


@pytest.fixture
def applied(bench: Bench) -> list[Object]:
    """All that a run applies."""
    found: list[Object] = []
    bench.cluster.on_apply = found.append
    return found


def test_rules_apply_to_every_object_and_every_pod(
    bench: Bench, applied: list[Object], tmp_path: Path
) -> None:
    docker = tmp_path / "config.json"
    docker.write_text(json.dumps({"auths": {"reg": {"auth": "c2VjcmV0"}}, "credsStore": "desktop"}))
    assert bench.run("-k", "test_zero_weight", *OPTIONS, "--image-pull-secret", str(docker)) == 0
    assert {"Namespace", "Pod", "Service", "TrafficSplit", "Secret"} <= {one["kind"] for one in applied}
    for one in applied:
        assert one["metadata"]["labels"]["team"] == "mesh"
        assert one["metadata"]["labels"][RUN_LABEL] == "r1"
        assert one["metadata"]["annotations"]["owner"] == "me@example.org"
    assert pods(applied)
    for spec in pods(applied):
        assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "tests"}
        assert spec["tolerations"] == [
            {"key": "dedicated", "operator": "Equal", "value": "mesh", "effect": "NoSchedule"}
        ]
        assert spec["imagePullSecrets"] == [{"name": "smi-conformance-pull"}]
        for container in spec["containers"]:
            assert container["resources"]["requests"] == {"cpu": "50m", "memory": "32Mi"}
            assert container["resources"]["limits"] == {"cpu": "1", "memory": "256Mi"}
    namespaces = {one["metadata"]["name"] for one in applied if one["kind"] == "Namespace"}
    for kind in ("Secret", "NetworkPolicy"):
        assert {one["metadata"]["namespace"] for one in applied if one["kind"] == kind} == namespaces


def test_credentials_are_in_no_report(bench: Bench, tmp_path: Path) -> None:
    docker = tmp_path / "config.json"
    docker.write_text(json.dumps({"auths": {"reg": {"auth": "c2VjcmV0"}}}))
    assert bench.run("-k", "test_zero_weight", "--image-pull-secret", str(docker)) == 0
    written = [one.read_text(encoding="utf-8") for one in bench.directory.iterdir()]
    assert len(written) == 3
    assert not any("c2VjcmV0" in each for each in written)
    assert "c2VjcmV0" not in repr(ClusterRules(registries="c2VjcmV0"))


def test_default_rules_only_select_linux_nodes(bench: Bench, applied: list[Object]) -> None:
    assert bench.run("-k", "test_zero_weight") == 0
    assert all(spec["nodeSelector"] == {"kubernetes.io/os": "linux"} for spec in pods(applied))
    assert not any("tolerations" in spec or "imagePullSecrets" in spec for spec in pods(applied))
    assert not {"Secret", "NetworkPolicy"} & {one["kind"] for one in applied}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("all", {"operator": "Exists"}),
        ("key", {"key": "key", "operator": "Exists"}),
        ("key:NoExecute", {"key": "key", "operator": "Exists", "effect": "NoExecute"}),
        ("key=v", {"key": "key", "operator": "Equal", "value": "v"}),
        ("a.b/c=v:NoSchedule", {"key": "a.b/c", "operator": "Equal", "value": "v", "effect": "NoSchedule"}),
    ],
)
def test_a_taint_has_the_notation_of_kubectl(text: str, found: dict[str, str]) -> None:
    assert parse_toleration(text) == found


@pytest.mark.parametrize("text", ["", ":NoSchedule", "=v", "key:Never"])
def test_an_invalid_taint_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match="KEY"):
        parse_toleration(text)


@pytest.mark.parametrize("text", ["", "key", "=value"])
def test_an_invalid_pair_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match="KEY=VALUE"):
        parse_pair(text)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"credsStore": "desktop"}'])
def test_a_file_without_credentials_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RuleError, match=r"Docker configuration|no credentials"):
        read_registries(str(path))


def test_the_error_of_an_invalid_rule_is_one_line(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["run", "--mesh", str(bench.profile), "--toleration", "key:Never"])
    assert caught.value.code == 2
    assert "argument --toleration: 'key:Never' is not of the form KEY[=VALUE][:EFFECT]" in (
        capsys.readouterr().err
    )

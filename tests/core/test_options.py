"""The options of a run are defined once, and mean the same to the command and to pytest."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conformance import profiles
from conformance.clusters import ClusterError
from conformance.run import mesh_version, options
from conformance.run.options import TABLE, RunOptions
from tests.core.fake_cluster import FakeCluster

TYPED = {
    "--mesh": ["none"],
    "--context": ["there"],
    "--kubeconfig": ["file"],
    "--image": ["img"],
    "--node-selector": ["disk=ssd"],
    "--toleration": ["key=value:NoSchedule"],
    "--label": ["owner=me"],
    "--annotation": ["why=trial"],
    "--request": ["cpu=50m"],
    "--limit": ["cpu=1"],
    "--open-network": [],
    "--level": ["core"],
    "--requirement": ["split-live-edits"],
    "--versions": ["all"],
    "--mesh-version": ["1.2"],
    "--reports": ["r"],
    "--output": ["o"],
    "--junit": ["j.xml"],
    "--timeout": ["1h30m"],
    "--one-by-one": [],
    "--keep": [],
}
ELSEWHERE = {"--in-cluster", "--embedded", "--image-pull-secret"}
"""Options that exclude others of these, or that read a file."""


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    for option in TABLE:
        option.add(parser)
    return parser


def pytests() -> argparse.ArgumentParser:
    """A parser that stands for pytest's."""
    parser = argparse.ArgumentParser()

    class Group:
        def addoption(self, *flags: str, **settings: Any) -> None:
            assert all(flag.startswith("--smi-") for flag in flags)
            parser.add_argument(*flags, **settings)

    for option in TABLE:
        option.add_to_pytest(Group())
    return parser


def words(typed: Mapping[str, list[str]], prefix: str) -> list[str]:
    return [word for flag, values in typed.items() for word in (f"--{prefix}{flag[2:]}", *values)]


def as_typed(typed: Mapping[str, list[str]]) -> tuple[RunOptions, RunOptions]:
    """These options as parsed by the command and by pytest."""
    ours = command_line().parse_args(words(typed, ""))
    theirs = pytests().parse_args(words(typed, "smi-"))
    return options.read(partial(getattr, ours)), options.from_pytest(partial(getattr, theirs))


class TestOptions:
    def test_of_the_sample_are_complete(self) -> None:
        assert {option.flags[-1] for option in TABLE} == TYPED.keys() | ELSEWHERE

    def test_mean_the_same_to_the_command_and_to_pytest(self) -> None:
        ours, theirs = as_typed(TYPED)
        assert ours == theirs
        assert ours.rules.tolerations == (
            {"key": "key", "operator": "Equal", "value": "value", "effect": "NoSchedule"},
        )
        assert (ours.timeout_s, ours.junit, ours.where.context) == (5400.0, Path("j.xml"), "there")

    def test_have_the_same_defaults(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBECONFIG", raising=False)
        ours, theirs = as_typed({"--mesh": ["none"]})
        assert ours == theirs
        assert ours.where.embedded

    def test_that_name_two_clusters_are_refused(self) -> None:
        with pytest.raises(ClusterError, match="name one cluster"):
            as_typed({"--mesh": ["none"], "--embedded": [], "--in-cluster": []})

    def test_are_unknown_to_pytest_without_the_suites(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert pytest.main(["--smi-mesh", "none", "-c", "/dev/null"]) == pytest.ExitCode.USAGE_ERROR
        assert "unrecognized arguments: --smi-mesh" in capsys.readouterr().err


def pod(*images: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "mesh-system", "name": f"p{len(images)}", "labels": {"app": "plane"}},
        "spec": {"containers": [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]},
    }


def profile(version: str = "") -> profiles.Profile:
    return profiles.parse(
        f"name: mine\nversion: '{version}'\nclaims: {{split: [v1alpha4]}}\n"
        "control_plane: {namespace: mesh-system, selectors: [app=plane]}\n",
        "mine",
    )


class TestMeshVersion:
    @pytest.mark.parametrize(
        ("image", "found"),
        [
            ("plane:v1.2.4", {"plane": "v1.2.4"}),
            ("registry.example:5000/mesh/plane:1.2", {"registry.example:5000/mesh/plane": "1.2"}),
            ("registry.example:5000/mesh/plane", {"registry.example:5000/mesh/plane": "latest"}),
            ("mesh/plane@sha256:abc", {"mesh/plane": "sha256:abc"}),
            ("mesh/plane:v1@sha256:abc", {"mesh/plane": "v1"}),
        ],
    )
    def test_is_read_from_the_images_of_the_control_plane(self, image: str, found: dict[str, str]) -> None:
        cluster = FakeCluster()
        cluster.list = lambda *_, **__: [pod(image)]  # type: ignore[method-assign]
        assert mesh_version.images(cluster, profile()) == found

    def test_of_a_control_plane_that_cannot_be_read_is_unknown(self) -> None:
        def refuse(*_: object, **__: object) -> list[dict[str, Any]]:
            raise ClusterError("forbidden")

        cluster = FakeCluster()
        cluster.list = refuse  # type: ignore[method-assign]
        assert mesh_version.images(cluster, profile()) == {}
        assert mesh_version.versions("", profile(), {}) == {}

    @pytest.mark.parametrize(
        ("asked", "said", "running", "version"),
        [
            ("2.0", "1.2", {"plane": "v1.2"}, "2.0"),
            ("", "1.2", {"plane": "v1.3"}, "1.2"),
            ("", "", {"plane": "v1.3", "injector": "v1.3"}, "v1.3"),
            ("", "", {"plane": "v1.3", "cni": "v0.2"}, None),
        ],
    )
    def test_is_that_of_the_option_the_profile_or_all_images(
        self, asked: str, said: str, running: dict[str, str], version: str | None
    ) -> None:
        found = mesh_version.versions(asked, profile(said), running)
        assert found.get("mesh") == version
        assert found.items() >= running.items()

    @pytest.mark.parametrize(
        ("asked", "said", "tags", "who"),
        [
            ("", "1.2.4", ["v1.2.4"], None),
            ("", "v1.2.4", ["1.2.4-distroless"], None),
            ("", "1.2.4-rc1", ["v1.2.4-rc1"], None),
            ("", "1.2", ["v1.2.4"], None),
            ("", "1.2", ["v1.20.4"], "the profile states version 1.2 of the mesh"),
            ("", "1.2.4", ["v1.2.4", "v0.1"], None),
            ("", "1.2.4", [], None),
            ("", "", ["v9.0"], None),
            ("", "1.2.4", ["63660784c77a", "sha256:abc", "latest"], None),
            ("", "1.2.4", ["v1.2.3"], "the profile states version 1.2.4 of the mesh"),
            ("1.2.5", "1.2.3", ["v1.2.3"], "--mesh-version states version 1.2.5 of the mesh"),
        ],
    )
    def test_that_no_image_has_is_a_finding(
        self, asked: str, said: str, tags: list[str], who: str | None
    ) -> None:
        running = {f"image-{n}": tag for n, tag in enumerate(tags)}
        found = mesh_version.contradiction(asked, profile(said), running)
        assert (found is None) == (who is None)
        assert found is None or found.text.startswith(str(who))

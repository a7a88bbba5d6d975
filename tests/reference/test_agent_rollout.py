from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from reference.agent.rollout import Rollout, plan, version_stat


def response(version: str, *resources: Mapping[str, Any]) -> str:
    return json.dumps({"version_info": version, "resources": list(resources)})


def clusters(version: str, *names: str) -> str:
    return response(version, *({"name": name} for name in names))


def endpoints(version: str, name: str) -> str:
    return response(version, {"cluster_name": name})


OLD = {
    "cds.json": clusters("1", "a", "b"),
    "lds.json": response("1", {"name": "l"}),
    "eds/a.json": endpoints("1", "a"),
    "eds/b.json": endpoints("1", "b"),
    "rds/r.json": response("1", {"name": "r"}),
    "sds/identity.json": response("1", {"name": "identity"}),
}


def groups(old: Mapping[str, str], new: Mapping[str, str]) -> list[list[str]]:
    return [sorted(step.files) for step in plan(old, new)]


def test_nothing_changed_is_nothing_to_do() -> None:
    assert plan(OLD, OLD) == []


def test_at_first_everything_is_there_before_it_is_referred_to() -> None:
    assert groups({}, OLD) == [
        ["sds/identity.json"],
        ["eds/a.json", "eds/b.json", "rds/r.json"],
        ["cds.json"],
        ["lds.json"],
    ]


def test_a_cluster_is_made_before_it_is_used_and_removed_after() -> None:
    new = {
        **OLD,
        "cds.json": clusters("2", "a", "c"),
        "lds.json": response("2", {"name": "l"}),
        "eds/a.json": endpoints("2", "a"),
        "eds/c.json": endpoints("1", "c"),
        "rds/r.json": response("2", {"name": "r"}),
    }
    steps = plan(OLD, new)
    assert [sorted(step.files) for step in steps] == [
        ["eds/c.json"],
        ["cds.json"],
        ["eds/a.json"],
        ["rds/r.json"],
        ["lds.json"],
        ["cds.json"],
    ]
    between = json.loads(steps[1].files["cds.json"])
    assert [cluster["name"] for cluster in between["resources"]] == ["a", "c", "b"]
    assert between["version_info"] not in {"1", "2"}
    assert steps[-1].files["cds.json"] == new["cds.json"]
    assert [step.confirm for step in steps] == [False, True, True, True, True, True]


def test_a_route_alone_touches_nothing_else() -> None:
    assert groups(OLD, {**OLD, "rds/r.json": response("2", {"name": "r"})}) == [["rds/r.json"]]


@pytest.mark.parametrize(
    ("path", "text", "stat"),
    [
        ("lds.json", OLD["lds.json"], "listener_manager.lds.version_text"),
        ("cds.json", OLD["cds.json"], "cluster_manager.cds.version_text"),
        ("eds/a.json", OLD["eds/a.json"], "cluster.a.version_text"),
        ("rds/r.json", OLD["rds/r.json"], "http.in.rds.r.version_text"),
        ("eds/unused.json", endpoints("1", "unused"), None),
        ("rds/unused.json", response("1", {"name": "unused"}), None),
    ],
)
def test_envoy_tells_which_version_of_a_file_it_uses(path: str, text: str, stat: str | None) -> None:
    assert (
        version_stat(path, text, {"cluster.a.version_text": "1", "http.in.rds.r.version_text": "1"}) == stat
    )


class Envoy:
    """Takes what is offered, but for the versions that it refuses."""

    def __init__(self, refused: frozenset[tuple[str, str]] = frozenset()) -> None:
        self._refused = refused
        self.offered: dict[str, str] = {}
        self.statistics = {
            "cluster.a.version_text": "0",
            "http.in.rds.r.version_text": "0",
            "listener_manager.listener_create_success": "1",
        }

    def publish(self, files: Mapping[str, str]) -> None:
        self.offered.update(files)
        for path, text in files.items():
            stat = version_stat(path, text, self.statistics)
            if stat is None:
                continue
            version = json.loads(text)["version_info"]
            if (path, version) in self._refused:
                self.statistics[stat.replace("version_text", "update_rejected")] = "1"
            else:
                self.statistics[stat] = version

    def withdraw(self, paths: Iterable[str]) -> None:
        for path in paths:
            del self.offered[path]

    def stats(self) -> Mapping[str, str]:
        return dict(self.statistics)


def rollout(envoy: Envoy) -> Rollout:
    return Rollout(envoy, envoy.stats, lambda _: "no such filter")


def test_a_change_leaves_what_it_does_not_name() -> None:
    envoy = Envoy()
    made = rollout(envoy)
    assert made.apply(OLD) == ""
    assert made.apply({"rds/r.json": response("2", {"name": "r"})}, ("eds/b.json",)) == ""
    assert set(envoy.offered) == set(OLD) - {"eds/b.json"}
    assert json.loads(envoy.offered["rds/r.json"])["version_info"] == "2"


def test_a_whole_configuration_replaces_all_but_the_identity() -> None:
    envoy = Envoy()
    made = rollout(envoy)
    made.apply(OLD)
    made.apply({"cds.json": clusters("3"), "lds.json": response("3")}, whole=True)
    assert set(envoy.offered) == {"cds.json", "lds.json", "sds/identity.json"}


def test_what_envoy_refuses_is_told_with_its_reason_and_holds_up_nothing_else() -> None:
    envoy = Envoy(frozenset({("rds/r.json", "2")}))
    made = rollout(envoy)
    made.apply(OLD)
    problem = made.apply(
        {"rds/r.json": response("2", {"name": "r"}), "lds.json": response("2", {"name": "l"})}
    )
    assert problem == "Envoy refused http.in.rds.r\nno such filter"
    assert envoy.statistics["listener_manager.lds.version_text"] == "2"

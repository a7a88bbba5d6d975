from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from smi_reference_mesh.sidecar.rollout import Rollout, name_in, plan
from smi_reference_mesh.sidecar.xds_server import AckStatus


def response(version: str, *resources: Mapping[str, Any]) -> str:
    return json.dumps({"version_info": version, "resources": list(resources)})


def clusters(version: str, *names: str) -> str:
    return response(version, *({"name": name} for name in names))


OLD = {
    "cds.json": clusters("1", "a", "b"),
    "lds.json": response("1", {"name": "l"}),
    "rds/r.json": response("1", {"name": "r"}),
    "sds/identity.json": response("1", {"name": "identity"}),
}


def groups(old: Mapping[str, str], new: Mapping[str, str]) -> list[list[str]]:
    return [sorted(step.responses) for step in plan(old, new)]


def test_an_unchanged_configuration_needs_no_steps() -> None:
    assert plan(OLD, OLD) == []


def test_at_first_resources_precede_references_to_them() -> None:
    assert groups({}, OLD) == [
        ["sds/identity.json"],
        ["rds/r.json"],
        ["cds.json"],
        ["lds.json"],
    ]


def test_a_cluster_is_added_before_its_use_and_removed_after() -> None:
    new = {
        **OLD,
        "cds.json": clusters("2", "a", "c"),
        "lds.json": response("2", {"name": "l"}),
        "rds/r.json": response("2", {"name": "r"}),
    }
    steps = plan(OLD, new)
    assert [sorted(step.responses) for step in steps] == [
        ["cds.json"],
        ["rds/r.json"],
        ["lds.json"],
        ["cds.json"],
    ]
    between = json.loads(steps[0].responses["cds.json"])
    assert [cluster["name"] for cluster in between["resources"]] == ["a", "c", "b"]
    assert between["version_info"] not in {"1", "2"}
    assert steps[-1].responses["cds.json"] == new["cds.json"]
    assert [step.confirm for step in steps] == [True, True, True, True]


def test_a_changed_route_is_the_only_step() -> None:
    assert groups(OLD, {**OLD, "rds/r.json": response("2", {"name": "r"})}) == [["rds/r.json"]]


def test_removed_clusters_follow_the_resources_that_referred_to_them() -> None:
    new = {**OLD, "cds.json": clusters("2", "a"), "lds.json": response("2", {"name": "l"})}
    assert groups(OLD, new) == [["lds.json"], ["cds.json"]]


def test_new_clusters_need_one_step() -> None:
    new = {**OLD, "cds.json": clusters("2", "a", "b", "c")}
    steps = plan(OLD, new)
    assert [sorted(step.responses) for step in steps] == [["cds.json"]]
    assert not any(step.rewarms for step in steps)


@pytest.mark.parametrize("gone", [True, False])
def test_a_replaced_cluster_warms_beside_the_old_one(gone: bool) -> None:
    others = () if gone else ({"name": "b"},)
    new = {**OLD, "cds.json": response("2", {"name": "a", "type": "STATIC"}, *others)}
    steps = [step for step in plan(OLD, new) if "cds.json" in step.responses]
    assert [step.rewarms for step in steps] == ([True, False] if gone else [True])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (OLD["rds/r.json"], "r"),
        (response("1"), None),
    ],
)
def test_the_name_in_a_response_is_that_of_its_resource(text: str, name: str | None) -> None:
    assert name_in(text) == name


class Envoy:
    """Acknowledges everything except the refused versions; opens its listeners after the first statistics."""

    def __init__(self, refused: frozenset[tuple[str, str]] = frozenset()) -> None:
        self._refused = refused
        self.offered: dict[str, str] = {}
        self.waited_for: list[set[str]] = []
        self.asked = 0
        self.warming = ["0"]

    def publish(self, responses: Mapping[str, str]) -> None:
        self.offered.update(responses)

    def withdraw(self, keys: Iterable[str]) -> None:
        for key in keys:
            del self.offered[key]

    def ack_status(self, versions: Mapping[str, str], roots: Iterable[str], within_s: float) -> AckStatus:
        self.waited_for.append(set(versions))
        refused = tuple(key for key, version in versions.items() if (key, version) in self._refused)
        pending = tuple(versions.keys() - set(refused)) if set(roots) & set(refused) else ()
        return AckStatus(refused, pending)

    def stats(self) -> Mapping[str, str]:
        self.asked += 1
        warming = self.warming.pop() if len(self.warming) > 1 else self.warming[0]
        return {
            "listener_manager.listener_create_success": str(self.asked - 1),
            "cluster_manager.warming_clusters": warming,
        }


def rollout(envoy: Envoy) -> Rollout:
    return Rollout(envoy, envoy.stats, lambda _: "no such filter")


def test_a_change_keeps_other_resources() -> None:
    envoy = Envoy()
    made = rollout(envoy)
    assert made.apply({**OLD, "rds/q.json": response("1", {"name": "q"})}) == ""
    assert made.apply({"rds/r.json": response("2", {"name": "r"})}, ("rds/q.json",)) == ""
    assert set(envoy.offered) == set(OLD)
    assert json.loads(envoy.offered["rds/r.json"])["version_info"] == "2"


def test_a_whole_configuration_replaces_all_but_the_identity() -> None:
    envoy = Envoy()
    made = rollout(envoy)
    made.apply(OLD)
    made.apply({"cds.json": clusters("3"), "lds.json": response("3")}, whole=True)
    assert set(envoy.offered) == {"cds.json", "lds.json", "sds/identity.json"}


def test_a_refusal_is_reported_with_its_reason_and_blocks_nothing_else() -> None:
    envoy = Envoy(frozenset({("rds/r.json", "2")}))
    made = rollout(envoy)
    made.apply(WITH_ROUTE)
    problem = made.apply(
        {"rds/r.json": response("2", {"name": "r"}), "lds.json": response("2", {"name": "l", "rds": "r"})}
    )
    assert problem == "Envoy refused rds/r.json\nno such filter"
    assert envoy.waited_for[-1] == {"lds.json"}


# A listener that refers to the routes.
WITH_ROUTE = {**OLD, "lds.json": response("1", {"name": "l", "rds": "r"})}


def test_referenced_resources_are_awaited_with_their_references() -> None:
    envoy = Envoy()
    rollout(envoy).apply({**WITH_ROUTE, "rds/q.json": response("1", {"name": "q"})})
    # No listener refers to the routes q, so Envoy does not subscribe to them.
    assert envoy.waited_for == [{"cds.json"}, {"lds.json", "rds/r.json"}]


def test_unreferenced_resources_are_not_awaited() -> None:
    envoy = Envoy()
    made = rollout(envoy)
    made.apply(
        {
            **WITH_ROUTE,
            "lds.json": response("1", {"name": "l", "rds": ["q", "r"]}),
            "rds/q.json": response("1", {"name": "q"}),
        }
    )
    made.apply({"lds.json": WITH_ROUTE["lds.json"].replace('"1"', '"2"')})
    made.apply({"rds/q.json": response("3", {"name": "q"}), "rds/r.json": response("3", {"name": "r"})})
    assert envoy.waited_for[-1] == {"rds/r.json"}


def test_references_of_a_refused_listener_are_no_problem_of_their_own() -> None:
    envoy = Envoy(frozenset({("lds.json", "2")}))
    made = rollout(envoy)
    made.apply(WITH_ROUTE)
    changed = {
        "lds.json": response("2", {"name": "l", "rds": "s"}),
        "rds/s.json": response("1", {"name": "s"}),
    }
    assert made.apply(changed) == "Envoy refused lds.json\nno such filter"


@pytest.mark.parametrize(("refused", "is_open"), [("rds/r.json", True), ("lds.json", False)])
def test_listeners_open_although_their_routes_are_refused(refused: str, is_open: bool) -> None:
    made = rollout(Envoy(frozenset({(refused, "1")})))
    assert f"Envoy refused {refused}" in made.apply(WITH_ROUTE)
    assert made.is_open is is_open


def test_listeners_are_awaited_until_first_open() -> None:
    envoy = Envoy()
    made = rollout(envoy)
    made.apply(OLD)
    assert envoy.asked == 2
    made.apply({"lds.json": response("2", {"name": "l"})})
    assert envoy.asked == 2


def test_a_replaced_cluster_is_awaited_until_warm() -> None:
    envoy = Envoy()
    made = rollout(envoy)
    made.apply(OLD)
    envoy.warming = ["0", "1", "1"]
    made.apply({"cds.json": response("2", {"name": "a", "type": "STATIC"}, {"name": "b"})})
    assert envoy.warming == ["0"]

"""Faults by which an invalid object stops unrelated ones, and their duration."""

from __future__ import annotations

import pytest
from compiler_snapshots import group, rule, snapshot, split, target, workload

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.faults import FAULTS, stops
from smi_reference_mesh.hooks import MeshHooks
from smi_reference_mesh.kube.objects import name_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts


def shown(hooks: MeshHooks, seen: ClusterSnapshot) -> dict[str, list[float]]:
    """The weights of each split, as the compiler sees them."""
    return {
        name_of(one): [backend["weight"] for backend in one["spec"]["backends"]]
        for one in hooks.snapshot(seen).of("trafficsplits")
    }


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(stops, "time", made)
    return made


def test_splits_are_ignored_until_some_seconds_after_a_fraction_is_removed(clock: Clock) -> None:
    hooks = FAULTS["split-fraction-stops-all"].hooks()
    counts = WindowedCounts()
    edited, half = split("web", {"v1": 7}), split("db", {"v1": 0.5}, name="halves")
    assert shown(hooks, snapshot(split("web", {"v1": 1}))) == {"split": [1]}
    assert shown(hooks, snapshot(edited, half)) == {"split": [1]}
    clock.at += 60
    assert not hooks.observe(counts, settled=True)
    gone = snapshot(edited)
    assert shown(hooks, gone) == {"split": [1]}
    clock.at += 11.9
    assert not hooks.observe(counts, settled=True)
    assert hooks.snapshot(gone) is hooks.snapshot(gone)
    clock.at += 0.2
    assert hooks.observe(counts, settled=True)
    assert shown(hooks, gone) == {"split": [7]}
    assert not hooks.observe(counts, settled=True)


def granting(*matches: tuple[str, str]) -> ClusterSnapshot:
    """A grant at v1 by routes of these names and paths, and a valid one at v2."""
    routes = [{"name": name, "pathRegex": path, "methods": ["GET"]} for name, path in matches]
    return snapshot(
        group("routes", *routes),
        target("v1", ["client"], [rule("HTTPRouteGroup", "routes")], name="grant"),
        group("sound", {"name": routes[0]["name"], "pathRegex": routes[0]["pathRegex"], "methods": ["GET"]}),
        target("v2", ["client"], [rule("HTTPRouteGroup", "sound")], name="other"),
    )


def test_an_account_with_an_invalid_expression_keeps_its_configuration() -> None:
    hooks = FAULTS["broken-expression-stops-account"].hooks()

    def given(seen: ClusterSnapshot, name: str) -> Configuration:
        return hooks.configuration(compile(seen, workload(name)), seen, workload(name))

    sound, broken = granting(("a", "/a")), granting(("a", "/b"), ("broken", "/x("))
    before, beside = given(sound, "v1"), given(sound, "v2")
    assert given(broken, "v1").files() == before.files()
    assert compile(broken, workload("v1")).files() != before.files()
    assert given(broken, "v2").files() == compile(broken, workload("v2")).files() != beside.files()

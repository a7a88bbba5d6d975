"""Faults of changes, in the order of a mesh's work: snapshots, reports of sidecars, passing time."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_snapshots import snapshot, split

from smi_reference_mesh.faults import load, split_changes
from smi_reference_mesh.hooks import MeshHooks
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(split_changes, "time", made)
    return made


def shown(hooks: MeshHooks, *services: str) -> str:
    """The services of a split over these, as the compiler sees it."""
    one: dict[str, Any] = split("web", dict.fromkeys(services, 1))
    one["metadata"]["uid"] = "u"
    (seen,) = hooks.snapshot(snapshot(one)).of("trafficsplits")
    return " ".join(backend["service"] for backend in seen["spec"]["backends"])


class Mesh:
    """A fault in a control plane that calls its hooks, with sidecars that acknowledge everything."""

    def __init__(self, clock: Clock, fault: str) -> None:
        self._clock, self._counts = clock, WindowedCounts()
        self.hooks = load(fault)

    def seen_again(self, after_s: float, *, settled: bool = True) -> bool:
        """Whether, after some time, configurations must be compiled again."""
        self._clock.now += after_s
        return self.hooks.observe(self._counts, settled=settled)


@pytest.fixture
def old_comes_back(clock: Clock) -> Mesh:
    return Mesh(clock, "split-old-state-comes-back")


def turn(mesh: Mesh, *services: str) -> None:
    """Switches the split to each service, for long each."""
    for service in services:
        assert shown(mesh.hooks, service) == service
        assert not mesh.seen_again(0.01)
        assert not mesh.seen_again(0.1)


def test_an_old_state_returns_from_the_third_switch_on_and_ends_again(old_comes_back: Mesh) -> None:
    turn(old_comes_back, "v2", "v3", "v2", "v3")
    assert old_comes_back.seen_again(0.1)
    assert shown(old_comes_back.hooks, "v3") == "v2"
    assert not old_comes_back.seen_again(0.01)
    assert old_comes_back.seen_again(0.2)
    assert shown(old_comes_back.hooks, "v3") == "v3"
    assert not old_comes_back.seen_again(0.01)
    assert not old_comes_back.seen_again(1)


def test_an_old_state_returns_and_ends_once_every_sidecar_acknowledged(
    old_comes_back: Mesh,
) -> None:
    turn(old_comes_back, "v2", "v3", "v2")
    assert shown(old_comes_back.hooks, "v3") == "v3"
    assert not old_comes_back.seen_again(5, settled=False)
    assert not old_comes_back.seen_again(0.01)
    assert old_comes_back.seen_again(0.2)
    assert not old_comes_back.seen_again(5, settled=False)
    assert shown(old_comes_back.hooks, "v3") == "v2"
    assert not old_comes_back.seen_again(0.01)
    assert old_comes_back.seen_again(0.2)
    assert shown(old_comes_back.hooks, "v3") == "v3"


def test_an_edit_meanwhile_applies_immediately(old_comes_back: Mesh) -> None:
    turn(old_comes_back, "v2", "v3", "v2", "v3")
    assert old_comes_back.seen_again(0.2)
    assert (shown(old_comes_back.hooks, "v3"), shown(old_comes_back.hooks, "v1")) == ("v2", "v1")


def test_edits_of_weights_are_no_switches(old_comes_back: Mesh) -> None:
    for services in ("v1", "v2"), ("v2",), ("v2", "v3"), ("v3",), ("v1", "v2", "v3"), ("v1",):
        assert shown(old_comes_back.hooks, *services) == " ".join(services)
        assert not old_comes_back.seen_again(1)
        assert not old_comes_back.seen_again(1)

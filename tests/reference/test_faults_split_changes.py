"""Faults of changes, in the order of a mesh's work: objects are read, sidecars report, time goes by."""

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
    """The services that the compiler is shown of a split over these."""
    one: dict[str, Any] = split("web", dict.fromkeys(services, 1))
    one["metadata"]["uid"] = "u"
    (seen,) = hooks.snapshot(snapshot(one)).of("trafficsplits")
    return " ".join(backend["service"] for backend in seen["spec"]["backends"])


class Mesh:
    """The fault in a control plane that has it look at the mesh, and sidecars that take what there is."""

    def __init__(self, clock: Clock, fault: str) -> None:
        self._clock, self._counts = clock, WindowedCounts()
        self.hooks = load(fault)

    def seen_again(self, after_s: float, *, settled: bool = True) -> bool:
        """Whether, when time has gone by, configurations are to be compiled anew."""
        self._clock.now += after_s
        return self.hooks.observe(self._counts, settled=settled)


@pytest.fixture
def old_comes_back(clock: Clock) -> Mesh:
    return Mesh(clock, "split-old-state-comes-back")


def turn(mesh: Mesh, *services: str) -> None:
    """The split is turned to each service, which holds for long."""
    for service in services:
        assert shown(mesh.hooks, service) == service
        assert not mesh.seen_again(0.01)
        assert not mesh.seen_again(0.1)


def test_an_old_state_comes_back_from_the_third_turn_on_and_goes_again(old_comes_back: Mesh) -> None:
    turn(old_comes_back, "v2", "v3", "v2", "v3")
    assert old_comes_back.seen_again(0.1)
    assert shown(old_comes_back.hooks, "v3") == "v2"
    assert not old_comes_back.seen_again(0.01)
    assert old_comes_back.seen_again(0.2)
    assert shown(old_comes_back.hooks, "v3") == "v3"
    assert not old_comes_back.seen_again(0.01)
    assert not old_comes_back.seen_again(1)


def test_an_old_state_comes_back_and_goes_once_every_sidecar_had_what_was_before(
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


def test_an_edit_meanwhile_is_shown_at_once(old_comes_back: Mesh) -> None:
    turn(old_comes_back, "v2", "v3", "v2", "v3")
    assert old_comes_back.seen_again(0.2)
    assert (shown(old_comes_back.hooks, "v3"), shown(old_comes_back.hooks, "v1")) == ("v2", "v1")


def test_edits_of_shares_are_no_turns(old_comes_back: Mesh) -> None:
    for services in ("v1", "v2"), ("v2",), ("v2", "v3"), ("v3",), ("v1", "v2", "v3"), ("v1",):
        assert shown(old_comes_back.hooks, *services) == " ".join(services)
        assert not old_comes_back.seen_again(1)
        assert not old_comes_back.seen_again(1)

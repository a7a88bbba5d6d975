"""Faults of changes, in the order of a mesh's work: objects are read, sidecars report, time goes by."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_worlds import split, world

from reference.faults import load, rollout
from reference.metrics import Figures
from reference.spoiler import Spoiler


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rollout, "time", made)
    return made


def shown(spoiler: Spoiler, *services: str) -> str:
    """The services that the compiler is shown of a split over these."""
    one: dict[str, Any] = split("web", dict.fromkeys(services, 1))
    one["metadata"]["uid"] = "u"
    (seen,) = spoiler.world(world(one)).of("trafficsplits")
    return " ".join(backend["service"] for backend in seen["spec"]["backends"])


def test_an_old_state_comes_back_from_the_third_turn_on_and_goes_again(clock: Clock) -> None:
    spoiler, figures = load("split-old-state-comes-back"), Figures()
    for service in ("v2", "v3", "v2"):
        assert shown(spoiler, service) == service
        clock.now += 1
        assert not spoiler.observe(figures)
    assert shown(spoiler, "v3") == "v3"
    clock.now += 0.1
    assert not spoiler.observe(figures)
    clock.now += 0.1
    assert spoiler.observe(figures)
    assert shown(spoiler, "v3") == "v2"
    assert not spoiler.observe(figures)
    clock.now += 0.2
    assert spoiler.observe(figures)
    assert shown(spoiler, "v3") == "v3"
    clock.now += 1
    assert not spoiler.observe(figures)


def test_an_edit_meanwhile_is_shown_at_once(clock: Clock) -> None:
    spoiler, figures = load("split-old-state-comes-back"), Figures()
    for service in ("v2", "v3", "v2", "v3"):
        shown(spoiler, service)
    clock.now += 0.2
    assert spoiler.observe(figures)
    assert (shown(spoiler, "v3"), shown(spoiler, "v1")) == ("v2", "v1")


def test_edits_of_shares_are_no_turns(clock: Clock) -> None:
    spoiler, figures = load("split-old-state-comes-back"), Figures()
    for services in ("v1", "v2"), ("v2",), ("v2", "v3"), ("v3",), ("v1", "v2", "v3"), ("v1",):
        assert shown(spoiler, *services) == " ".join(services)
        clock.now += 1
        assert not spoiler.observe(figures)

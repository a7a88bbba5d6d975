"""What is read of a burst: the most that is shown, and what is shown over the stable window after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conformance.drive import metrics_load
from conformance.drive.metrics_load import BURST_S, SENT, ShownLoad
from conformance.drive.scenario import Scenario
from conformance.drive.wait import NotSeen, Waiter
from conformance.judge.metrics import shown_so_far
from conformance.model.evidence import ApiRead

from .virtual import VirtualClock

WINDOW_S = 10.0


@dataclass
class Server:
    """A metrics API in virtual time.

    ``part`` is how much of a burst it shows so many seconds after its start, after so many answers.
    """

    part: Callable[[float, int], float]
    clock: VirtualClock = field(default_factory=VirtualClock)
    began: float = 0.0
    answers: int = 0

    def send(self, *calls: Any, **how: Any) -> list[Any]:
        self.began = self.clock.now()
        self.clock.pause(BURST_S)
        return [SimpleNamespace(sent=1) for _ in calls]

    def metrics(self, namespace: str, kind: str, name: str, *, edges: bool = False) -> ApiRead:
        shown = self.part(self.clock.now() - self.began, self.answers)
        self.answers += 1
        self.clock.pause(0.01)
        return ApiRead("the runner", name, 200, _document(round(shown * SENT.get(name, 0))))

    def until(self, check: Callable[[], bool], what: str, *, within_s: float) -> None:
        with suppress(NotSeen):
            Waiter(self.clock).until(check, within=within_s, because=what)


def _document(count: int) -> dict[str, Any]:
    latencies = [{"name": f"p{part}_response_latency", "unit": "ms", "value": "1"} for part in (50, 90, 99)]
    counts = [{"name": "success_count", "value": str(count)}, {"name": "failure_count", "value": "0"}]
    return {
        "kind": "TrafficMetrics",
        "resource": {"kind": "Deployment", "name": "mid", "namespace": "arena"},
        "edge": {"direction": "from", "side": "server", "resource": {}},
        "timestamp": "2024-04-08T22:25:55Z",
        "window": f"{WINDOW_S:g}s",
        "metrics": [*latencies, *counts],
    }


def burst(server: Server, *, delay_s: float = 3.0) -> ShownLoad:
    scenario = SimpleNamespace(
        waiter=SimpleNamespace(clock=server.clock),
        profile=SimpleNamespace(
            converge=SimpleNamespace(stable_s=1.0), metrics=SimpleNamespace(delay_s=delay_s)
        ),
        arena=SimpleNamespace(namespace=lambda name: name),
        call=lambda *ends, **what: what,
        send=server.send,
        reader=server,
        until=server.until,
    )
    return metrics_load.burst(cast(Scenario, scenario))


def sliding(after_s: float, answers: int) -> float:
    return 1.0 if BURST_S <= after_s <= WINDOW_S else 0.0


@pytest.mark.parametrize("delay_s", [3.0, 30.0])
def test_a_sliding_window_shows_all_as_long_as_it_is_read(delay_s: float) -> None:
    shown = burst(Server(sliding), delay_s=delay_s)
    assert len(shown.again) >= 3
    assert {shown_so_far(read) for read in (shown.reads["mid"], *shown.again)} == {SENT["mid"]}


def test_a_window_that_has_slid_on_before_the_burst_was_seen_whole_leaves_nothing_to_read_again() -> None:
    late = Server(lambda after_s, answers: 1.0 if 9.5 <= after_s <= 11.0 else 0.0)
    shown = burst(late, delay_s=10.0)
    assert shown_so_far(shown.reads["mid"]) == SENT["mid"]
    assert shown.again == ()


def test_a_server_that_is_behind_may_be_so_until_everything_is_due() -> None:
    behind = Server(lambda after_s, answers: 0.5 if after_s < BURST_S + 2.9 and answers % 7 == 6 else 1.0)
    assert {shown_so_far(read) for read in burst(behind).again} == {SENT["mid"]}


@pytest.mark.parametrize("nth", [2, 3, 5])
def test_what_is_shown_now_and_then_is_seen_to_be_so(nth: int) -> None:
    wavering = Server(lambda after_s, answers: 0.5 if answers % nth == 0 else 1.0)
    shown = burst(wavering)
    assert {shown_so_far(read) for read in shown.again} == {SENT["mid"], SENT["mid"] / 2}

"""Waiting, and where the seconds go; in virtual time."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import pytest

from conformance.drive.timing import Phases
from conformance.drive.wait import NotSeen, SystemClock, Waiter
from conformance.run.progress import Progress, Verbosity

from .virtual import VirtualClock


class TestWaiting:
    def test_ends_when_the_condition_holds(self, clock: VirtualClock) -> None:
        seen = iter([None, False, "there"])
        found, took = Waiter(clock).until(lambda: next(seen), within=10, because="it shows")
        assert found == "there"
        assert took == pytest.approx(sum(clock.pauses))
        assert len(clock.pauses) == 2

    def test_takes_no_time_if_the_condition_holds_already(self, clock: VirtualClock) -> None:
        assert Waiter(clock).until(lambda: True, within=10, because="it holds") == (True, 0.0)
        assert clock.pauses == []

    def test_accepts_empty_and_zero_results(self, clock: VirtualClock) -> None:
        assert Waiter(clock).until(lambda: 0, within=10, because="a count")[0] == 0
        assert Waiter(clock).until(lambda: [], within=10, because="a list")[0] == []

    def test_ends_at_its_deadline_with_its_reason(self, clock: VirtualClock) -> None:
        with pytest.raises(NotSeen, match=r"^not seen within 30 s: pods ready$") as caught:
            Waiter(clock).until(lambda: None, within=30, because="pods ready")
        assert (caught.value.because, caught.value.within_s) == ("pods ready", 30)
        assert 30 <= clock.at - 1000 < 30.5

    def test_polls_often_at_first_and_twice_a_second_later(self, clock: VirtualClock) -> None:
        with pytest.raises(NotSeen):
            Waiter(clock).until(lambda: None, within=10, because="never")
        assert clock.pauses[0] == pytest.approx(0.02)
        assert max(clock.pauses) == 0.5
        assert clock.pauses == sorted(clock.pauses)

    def test_polls_a_last_time_at_the_deadline(self, clock: VirtualClock) -> None:
        looks: list[float] = []
        with pytest.raises(NotSeen):
            Waiter(clock).until(lambda: looks.append(clock.at), within=1, because="never")
        assert looks[-1] - 1000 >= 1

    def test_propagates_exceptions_of_the_check(self, clock: VirtualClock) -> None:
        with pytest.raises(ZeroDivisionError):
            Waiter(clock).until(lambda: 1 / 0, within=10, because="sums")

    def test_reports_its_reason(self, clock: VirtualClock) -> None:
        told: list[tuple[str, float, float]] = []
        waiter = Waiter(clock, on_wait=lambda *what: told.append(what))
        with pytest.raises(NotSeen):
            waiter.until(lambda: None, within=1, because="never")
        assert told[0] == ("never", 0.0, 1)
        assert told[-1][1] >= 1

    def test_for_minutes_takes_microseconds_on_a_virtual_clock(self, clock: VirtualClock) -> None:
        start = time.perf_counter()
        with pytest.raises(NotSeen):
            Waiter(clock).until(lambda: None, within=600, because="never")
        assert time.perf_counter() - start < 1

    def test_uses_a_monotonic_clock(self) -> None:
        clock = SystemClock()
        before = clock.now()
        clock.pause(0.001)
        assert clock.now() - before >= 0.001


class TestPhases:
    def test_count_their_seconds(self, clock: VirtualClock) -> None:
        phases = Phases(clock)
        for seconds in (2, 3):
            with phases.phase("traffic"):
                clock.pause(seconds)
        clock.pause(1)
        assert phases.spent() == {"traffic": 5}
        assert phases.total() == 6

    def test_inside_others_are_part_of_them(self, clock: VirtualClock) -> None:
        phases = Phases(clock)
        with phases.phase("waiting"):
            clock.pause(1)
            with phases.phase("traffic"):
                clock.pause(2)
        assert phases.spent() == {"waiting": 3}

    def test_count_the_seconds_before_an_exception(self, clock: VirtualClock) -> None:
        phases = Phases(clock)
        with pytest.raises(RuntimeError), phases.phase("setup"):  # noqa: PT012 - the pause is the point
            clock.pause(4)
            raise RuntimeError
        with phases.phase("cleanup"):
            clock.pause(1)
        assert phases.spent() == {"setup": 4, "cleanup": 1}


class TestProgress:
    def test_without_a_terminal_is_silent(self) -> None:
        Progress().say("anything")
        Progress().waiting("pods", 10, 30)

    @pytest.mark.parametrize(
        ("terminal", "lines"),
        [(False, ["pods ready (2 s", "pods ready (8 s", "pods gone (2 s"]), (True, None)],
        ids=["elsewhere every five seconds", "on a terminal again and again"],
    )
    def test_shows_waits(
        self, monkeypatch: pytest.MonkeyPatch, terminal: bool, lines: list[str] | None
    ) -> None:
        said: list[str] = []
        progress = Progress()
        monkeypatch.setattr(progress, "_reporter", SimpleNamespace(isatty=terminal))
        monkeypatch.setattr(progress, "_put", lambda text, *, rewrite: said.append(text))
        monkeypatch.setattr(progress, "_total", 3)
        for elapsed in (0.5, 1.0, 2.0, 4.0, 7.6, 8.0):
            progress.waiting("pods ready", elapsed, 30)
        progress.waiting("pods gone", 2.0, 30)
        shown = lines or [f"pods ready ({n} s" for n in (2, 4, 8, 8)] + ["pods gone (2 s"]
        start = re.compile(r"\[0/3\] \d+\.\d+ s: " if terminal else "  ")
        assert [start.sub("", one, count=1) for one in said] == [f"waiting: {one} of 30 s)" for one in shown]

    def test_replaces_the_status_by_a_line_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[str] = []
        reporter = SimpleNamespace(
            isatty=True,
            rewrite=lambda text, erase: written.append("\r" + text),
            write_line=lambda text: written.append(text + "\n"),
            flush=lambda: None,
        )
        progress = Progress(total=1, amount="normal")
        monkeypatch.setattr(progress, "_reporter", reporter)
        progress.scenario("scenario a")
        progress.say("run r1")
        assert re.fullmatch(r"\r\[0/1\] \d+\.\d+ s: scenario a\rrun r1\n", "".join(written))

    def test_flushes_each_line_to_a_pipe(self, monkeypatch: pytest.MonkeyPatch) -> None:
        done: list[str] = []
        reporter = SimpleNamespace(
            isatty=False,
            ensure_newline=lambda: None,
            write_line=lambda text, **_: done.append(text),
            flush=lambda: done.append("flushed"),
        )
        progress = Progress(total=2, amount="normal")
        monkeypatch.setattr(progress, "_reporter", reporter)
        progress.concluded("one", "pass", 1.5)
        progress.concluded("two", "pass", 1.5)
        assert done == ["[1/2] ✓ one 1.5 s", "flushed", "[2/2] ✓ two 1.5 s", "flushed"]

    @pytest.mark.parametrize(
        ("terminal", "amount", "shown"),
        [
            (False, "normal", ["run r1", "[1/2] ✓ one 1.5 s", "[2/2] ✗ two 2.0 s"]),
            (True, "normal", ["run r1", "[2/2] ✗ two 2.0 s"]),
            (False, "verbose", ["run r1", "scenario a"]),
            (False, "quiet", []),
        ],
    )
    def test_shows_requirements_by_verbosity(
        self, monkeypatch: pytest.MonkeyPatch, terminal: bool, amount: Verbosity, shown: list[str]
    ) -> None:
        said: list[str] = []
        progress = Progress(total=2, amount=amount)
        monkeypatch.setattr(progress, "_reporter", SimpleNamespace(isatty=terminal))

        def put(text: str, *, rewrite: bool, **markup: bool) -> None:
            said.extend([] if rewrite else [text])

        monkeypatch.setattr(progress, "_put", put)
        progress.say("run r1")
        progress.scenario("scenario a")
        progress.concluded("one", "pass", 1.5)
        progress.concluded("two", "fail", 2.0)
        assert said == shown

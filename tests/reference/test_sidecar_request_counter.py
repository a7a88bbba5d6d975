from __future__ import annotations

import threading

from smi_reference_mesh.sidecar.request_counter import RequestCounter


def line(status: int = 200, peer: str = "10.0.0.1", duration: int = 5) -> bytes:
    return f"smi\tin\t{peer}\t{status}\t{duration}\tinbound\troot\n".encode()


def test_requests_are_counted_by_peer_until_they_are_reported() -> None:
    now = 100.0
    counter = RequestCounter(lambda: now)
    for status in (200, 200, 503):
        counter.line(line(status))
    counter.line(line(peer="10.0.0.2"))
    counter.line(b"[warning] something else\n")
    assert counter.close_interval()
    now = 103.0
    (interval,) = counter.intervals()
    assert interval["age_s"] == 3
    assert [(entry["peer"], entry["successes"], entry["failures"]) for entry in interval["tallies"]] == [
        ("10.0.0.1", 2, 1),
        ("10.0.0.2", 1, 0),
    ]
    counter.discard()
    assert not counter.close_interval()


def test_the_reporter_sleeps_until_there_are_requests() -> None:
    counter, woken = RequestCounter(), threading.Event()

    def hand_over() -> None:
        for _ in range(2):
            counter.wait_for_requests()
            counter.close_interval()
        # Unreported intervals wake the reporter again.
        woken.set()

    threading.Thread(target=hand_over, daemon=True).start()
    assert not woken.wait(0.05)
    counter.line(line())
    assert woken.wait(10)
    counter.discard()
    assert not counter.close_interval()


def test_unreported_intervals_keep_their_age() -> None:
    now = 100.0
    counter = RequestCounter(lambda: now)
    counter.line(line())
    counter.close_interval()
    now = 101.0
    counter.line(line())
    counter.close_interval()
    assert [interval["age_s"] for interval in counter.intervals()] == [1, 0]


def test_only_a_minute_is_kept_for_an_absent_control_plane() -> None:
    counter = RequestCounter(lambda: 0.0)
    for _ in range(500):
        counter.line(line())
        counter.close_interval()
    assert len(counter.intervals()) == 240

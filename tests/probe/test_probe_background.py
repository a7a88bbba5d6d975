from __future__ import annotations

import time
from itertools import count
from typing import Any

import pytest
from probe_peers import Outcome, Probe, outcome

_names = (f"g{number}" for number in count())


def start(client: Probe, **batch: Any) -> tuple[str, str]:
    name = next(_names)
    plan = {"batches": [{"id": name, "host": "127.0.0.1", "concurrency": 4, **batch}]}
    (answer,) = client.ask({"op": "start", "plan": plan})
    return name, answer["handle"]


def stop(client: Probe, handle: str) -> Outcome:
    return outcome(client.ask({"op": "stop", "handle": handle}))


def reached(server: Probe, name: str, wanted: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if server.ledger(name, entries=0)["batches"][name]["count"] >= wanted:
            return True
    return False


def test_steady_traffic_goes_on_until_it_is_stopped(client: Probe, server: Probe) -> None:
    name, handle = start(client, port=server.http[0], requests=1, rate_per_s=200)
    began = time.monotonic()
    assert reached(server, name, 40)
    assert time.monotonic() - began > 0.15
    found = stop(client, handle)
    assert found.end["complete"]
    count = found.totals(name)["observations"]
    assert count == found.totals(name)["sent"] == server.ledger(name)["batches"][name]["count"]
    assert sorted(found.column("index", name)) == list(range(count))
    assert set(found.column("failure", name)) == {None}


def test_steady_traffic_ends_by_itself_after_its_duration(client: Probe, server: Probe) -> None:
    name, handle = start(client, port=server.http[0], rate_per_s=100, duration_s=0.2)
    assert reached(server, name, 19)
    found = stop(client, handle)
    assert found.end["complete"]
    assert found.totals(name)["sent"] <= 20


@pytest.mark.parametrize("duration_s", [0.2, 60])
def test_a_batch_that_follows_others_continues_beside_steady_traffic(
    client: Probe, server: Probe, duration_s: float
) -> None:
    name, beside = next(_names), next(_names)
    batch = {"host": "127.0.0.1", "port": server.http[0], "rate_per_s": 100, "requests": 1}
    batches = [
        {**batch, "id": name, "duration_s": duration_s},
        {**batch, "id": beside, "until": "others"},
    ]
    (answer,) = client.ask({"op": "start", "plan": {"parallel": True, "batches": batches}})
    assert reached(server, name, 15)
    found = stop(client, answer["handle"])
    assert found.end["complete"]
    assert set(found.column("failure", beside)) == {None}
    assert found.totals(beside)["observations"] == found.totals(beside)["sent"] > 10


def test_the_duration_shows_whether_traffic_was_stopped(client: Probe, server: Probe) -> None:
    lasting: dict[str, Any] = {"port": server.http[0], "rate_per_s": 100}
    name, handle = start(client, **lasting, duration_s=60)
    assert reached(server, name, 2)
    assert stop(client, handle).totals(name)["took_s"] < 60
    batch = {"id": "whole", "host": "127.0.0.1", "duration_s": 0.2, **lasting}
    whole = outcome(client.ask({"op": "run", "plan": {"batches": [batch]}}))
    assert whole.totals("whole")["took_s"] >= 0.2


def test_a_flood_goes_on_until_it_is_stopped(client: Probe, server: Probe) -> None:
    name, handle = start(client, port=server.http[0])
    assert reached(server, name, 1000)
    found = stop(client, handle)
    assert found.end["complete"]
    assert len(found.rows[name]) == found.totals(name)["sent"] >= 1000


def test_requests_in_flight_at_the_stop_finish(client: Probe, server: Probe) -> None:
    name, handle = start(client, port=server.http[0], rate_per_s=1000, headers={"x-probe-delay-ms": "100"})
    assert reached(server, name, 4)
    found = stop(client, handle)
    assert found.end["complete"]
    assert set(found.column("failure", name)) == {None}


def test_a_batch_that_follows_others_continues_until_their_last_request_in_flight(
    client: Probe, server: Probe
) -> None:
    """It shows whether the machine was starved, even while requests sent before the stop are late."""
    name, beside = next(_names), next(_names)
    batch = {"host": "127.0.0.1", "port": server.http[0], "requests": 1}
    slow = {**batch, "id": name, "rate_per_s": 1000, "concurrency": 8}
    slow |= {"headers": {"x-probe-delay-ms": "600"}}
    watching = {**batch, "id": beside, "rate_per_s": 100, "until": "others"}
    (answer,) = client.ask({"op": "start", "plan": {"parallel": True, "batches": [slow, watching]}})
    assert reached(server, name, 4)
    found = stop(client, answer["handle"])
    assert found.end["complete"]
    # Stopped together with the other batch, it would have taken almost no time.
    assert found.totals(beside)["took_s"] >= 0.5
    assert found.totals(beside)["observations"] >= 25


def test_a_batch_that_is_stopped_early_reports_its_requests(client: Probe, server: Probe) -> None:
    name, handle = start(client, port=server.http[0], requests=1000, duration_s=100)
    assert reached(server, name, 2)
    found = stop(client, handle)
    assert found.totals(name)["sent"] < 1000
    assert found.end["complete"]


def test_traffic_is_stopped_once(client: Probe, server: Probe) -> None:
    _, handle = start(client, port=server.http[0], rate_per_s=10)
    stop(client, handle)
    assert client.ask({"op": "stop", "handle": handle}) == [
        {"error": f"no traffic has the handle {handle!r}"}
    ]


@pytest.mark.parametrize(
    "request_",
    [b"{\n", b"[]\n", b"\n", b'{"op":"dance"}\n', b'{"op":"run"}\n', b"x" * (1 << 24) + b"yy\n"],
)
def test_an_invalid_request_is_answered_with_an_error(client: Probe, request_: bytes) -> None:
    (answer,) = client.ask(request_)
    assert list(answer) == ["error"]

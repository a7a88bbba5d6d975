"""Looks at a batch: which answers they count, and that they end it."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from probe_peers import Probe

from conformance.probe.looks import LookTaker
from conformance.probe.plan import Bounds, LookBounds

HALVES = LookBounds(4, (Bounds(("v1",), 2, 2, 1, 3), Bounds(("v2", "v3"), 2, 2, 1, 3)))


def first_that_suffices(looks: tuple[LookBounds, ...], answers: list[tuple[int, str | None]]) -> int | None:
    """The number of answers after which a batch with these looks ends."""
    taker = LookTaker(looks)
    return next((number for number, one in enumerate(answers, 1) if taker.suffices(*one)), None)


def test_a_look_that_accepts_all_counts_ends_the_batch() -> None:
    assert first_that_suffices((HALVES,), list(enumerate(["v1", "v2", "v3", "v1", "v1"]))) == 4


@pytest.mark.parametrize(
    "servers",
    [["v1", "v1", "v1", "v2"], ["v1", "v1", "v2", None], ["v1", "v1", "v2", "v9"]],
    ids=["another division", "a request without an answer", "a server that is none of them"],
)
def test_a_look_does_not_end_a_batch_with(servers: list[str | None]) -> None:
    assert first_that_suffices((HALVES,), [*enumerate(servers), (4, "v1"), (5, "v2")]) is None


@pytest.mark.parametrize("servers", [["v1"] * 4, ["v2"] * 4, ["v1", None, None, None]])
def test_a_look_that_rejects_a_count_ends_the_batch(servers: list[str | None]) -> None:
    assert first_that_suffices((HALVES,), [*enumerate(servers), (4, "v1")]) == 4


def test_a_later_look_counts_from_the_first_request_on() -> None:
    later = LookBounds(6, (Bounds(("v1",), 4, 4, 0, 6), Bounds(("v2",), 2, 2, 0, 6)))
    answers = list(enumerate(["v1", "v1", "v1", "v2", "v2", "v1"]))
    assert first_that_suffices((HALVES, later), answers) == 6


def test_answers_count_in_the_order_of_sending() -> None:
    """Else a backend that answers sooner would have a larger share at each look."""
    servers = ["v1", "v2", "v1", "v2", "v1", "v1", "v1", "v1"]
    for order in itertools.islice(itertools.permutations(range(8)), 0, 40_000, 97):
        answers = [(index, servers[index]) for index in order]
        complete = max(order.index(index) for index in range(4)) + 1
        assert first_that_suffices((HALVES,), answers) == complete


def test_a_batch_ends_within_what_is_in_flight(client: Probe, server: Probe) -> None:
    name = f"looks-{random.random()}"
    one = {
        **{"id": name, "protocol": "http", "host": "127.0.0.1", "port": server.http[0]},
        **{
            "requests": 5_000,
            "concurrency": 8,
            "looks": [[100, [[["v2"], 100, 100, 0, 100]]], [200, [[["v1"], 200, 200, 0, 200]]]],
        },
    }
    found = client.run(one)
    assert found.end["complete"]
    sent = found.end["batches"][name]["sent"]
    assert 200 <= sent < 200 + 8
    assert sorted(found.column("index", name)) == list(range(sent))
    assert Counter(found.column("failure", name)) == {None: sent}


def test_a_batch_that_no_look_ends_is_sent_whole(client: Probe, server: Probe) -> None:
    name = f"looks-{random.random()}"
    one = {
        **{"id": name, "protocol": "http2", "host": "127.0.0.1", "port": server.http[0]},
        **{"requests": 300, "concurrency": 8, "looks": [[100, [[["v1"], 0, 99, 0, 100]]]]},
    }
    found = client.run(one)
    assert found.end["complete"]
    assert found.end["batches"][name]["sent"] == 300

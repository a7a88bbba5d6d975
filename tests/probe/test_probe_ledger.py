from __future__ import annotations

import socket
from typing import Any

import pytest
from probe_peers import Probe

from conformance.probe import ledger as ledger_module
from conformance.probe.ledger import Entry, Ledger


def entry() -> Entry:
    return Entry(8080, "GET", "/", {}, 1, "10.0.0.1")


def of(ledger: Ledger, batch: str, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = ledger.query([batch], **options)["batches"][batch]
    return found


def test_a_batch_is_counted_by_index_and_by_hit() -> None:
    ledger = Ledger()
    for index in (0, 1, 1, 2, 5, 6, 300):
        ledger.record(f"b.{index}", 8080 if index < 5 else 8081, entry)
    found = of(ledger, "b", indices=True)
    assert (found["count"], found["hits"]) == (6, 7)
    assert found["by_port"] == {"8080": 4, "8081": 3}
    assert found["indices"] == [[0, 2], [5, 6], [300, 300]]


def test_an_unknown_batch_has_no_requests() -> None:
    assert of(Ledger(), "b", indices=True) == {
        "count": 0,
        "hits": 0,
        "by_port": {},
        "entries": [],
        "indices": [],
    }


@pytest.mark.parametrize("nonce", ["", "b", "b.", ".1", "b.x", "b.-1", "b.1x", "b.²"])
def test_a_request_without_a_valid_nonce_is_unidentified(nonce: str) -> None:
    ledger = Ledger()
    ledger.record(nonce, 8080, entry)
    assert ledger.query([])["unidentified"] == 1


@pytest.mark.parametrize("index", ["1000000", "99999999999999999999"])
def test_an_index_beyond_all_plans_counts_as_dropped(index: str) -> None:
    ledger = Ledger()
    ledger.record(f"b.{index}", 8080, entry)
    assert ledger.query([])["dropped"] == 1


def test_batches_beyond_the_limit_count_as_dropped_and_old_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_BATCHES", 3)
    ledger = Ledger()
    for number in range(5):
        ledger.record(f"b{number}.0", 8080, entry)
    assert ledger.query([])["dropped"] == 2
    assert [of(ledger, f"b{number}")["count"] for number in range(5)] == [1, 1, 1, 0, 0]


def test_details_are_dropped_before_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_ENTRIES", 300)
    ledger = Ledger()
    for batch in ("old", "new"):
        for index in range(250):
            ledger.record(f"{batch}.{index}", 8080, entry)
    assert [of(ledger, batch)["count"] for batch in ("old", "new")] == [250, 250]
    assert [len(of(ledger, batch)["entries"]) for batch in ("old", "new")] == [0, 200]
    assert len(of(ledger, "new", entries=3)["entries"]) == 3


def test_a_request_is_recorded_as_it_came_over_the_wire(server: Probe) -> None:
    fields = ["Host: v1", "X-BeTa: 1", "X-BeTa: 2", "x-probe-nonce: wire.7", "Connection: close"]
    head = "\r\n".join(["GET /x?y HTTP/1.1", *fields, "", ""])
    with socket.create_connection(("127.0.0.1", server.http[1])) as sock:
        sock.sendall(head.encode())
        sock.recv(65536)
    (found,) = server.ledger("wire")["batches"]["wire"]["entries"]
    assert found.pop("connection") >= 1
    headers = {"Host": "v1", "X-BeTa": "1, 2", "x-probe-nonce": "wire.7", "Connection": "close"}
    assert found == {
        **{"index": 7, "port": server.http[1], "method": "GET", "path": "/x?y"},
        **{"headers": headers, "remote": "127.0.0.1"},
    }


def test_a_request_counts_though_its_body_never_ends(server: Probe) -> None:
    with socket.create_connection(("127.0.0.1", server.http[0])) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nx-probe-nonce: cut.0\r\nExpect: x\r\nContent-Length: 9\r\n\r\n")
        sock.recv(100)
    assert server.ledger("cut")["batches"]["cut"]["count"] == 1


def test_a_tcp_line_counts_though_it_never_ends(server: Probe) -> None:
    with socket.create_connection(("127.0.0.1", server.tcp[0])) as sock:
        sock.sendall(b"unended.0")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""
    assert server.ledger("unended")["batches"]["unended"]["count"] == 1


@pytest.mark.parametrize(
    "request_",
    [{"op": "ledger"}, {"op": "ledger", "batches": [1]}, {"op": "ledger", "batches": [], "entries": "all"}],
)
def test_an_invalid_ledger_request_is_an_error(server: Probe, request_: dict[str, Any]) -> None:
    assert list(server.ask(request_)[0]) == ["error"]

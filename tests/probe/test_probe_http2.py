from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    TrailersReceived,
)
from probe_http2_peers import Http2Peer, speaking
from probe_peers import Peer, Probe, always, peer

from conformance.probe.http1_framing import Malformed
from conformance.probe.http2_framing import FrameReader, grpc_content, grpc_message

_names = (f"m{number}" for number in count())


def batch(port: int, **changes: Any) -> dict[str, Any]:
    return {
        **{"id": "b", "protocol": "http2", "host": "127.0.0.1", "port": port, "requests": 1},
        **changes,
    }


def named(port: int, **changes: Any) -> tuple[str, dict[str, Any]]:
    name = next(_names)
    return name, batch(port, id=name, **changes)


def test_both_versions_are_served_on_the_same_port(client: Probe, server: Probe) -> None:
    versions = [batch(server.http[0], id=protocol, protocol=protocol) for protocol in ("http", "http2")]
    found = client.run(*versions, parallel=True)
    assert [found.column("server", one["id"]) for one in versions] == [["v1"], ["v1"]]


def test_an_instruction_for_a_single_server_holds_for_that_alone_over_http2_too(
    client: Probe, server: Probe
) -> None:
    ones = [
        batch(server.http[0], id=at, headers={"x-probe-status": "500", "x-probe-at": at})
        for at in ("v1", "v2")
    ]
    found = client.run(*ones)
    assert [found.column("status", at) for at in ("v1", "v2")] == [[500], [200]]


def test_requests_on_one_connection_do_not_wait_for_each_other(client: Probe, server: Probe) -> None:
    one = batch(server.http[0], connections="one", concurrency=20, requests=40)
    found = client.run({**one, "headers": {"x-probe-delay-ms": "100"}})
    assert Counter(found.column("connection")) == {1: 40}
    assert found.totals()["took_s"] < 1


def test_a_request_arrives_with_method_path_and_headers(client: Probe, server: Probe) -> None:
    headers = {"X-Beta": "1", "cookie": "type=insider", "Host": "shop.example", "Connection": "close"}
    name, one = named(server.http[0], method="PUT", path="/a?b=%7e", headers=headers, body="words")
    client.run(one)
    (entry,) = server.ledger(name)["batches"][name]["entries"]
    assert (entry["method"], entry["path"]) == ("PUT", "/a?b=%7e")
    assert entry["headers"] == {
        **{":scheme": "http", ":authority": "shop.example", "x-beta": "1", "cookie": "type=insider"},
        "x-probe-nonce": f"{name}.0",
    }


def test_the_ledger_records_streams_of_a_connection_as_separate_requests(
    client: Probe, server: Probe
) -> None:
    name, one = named(server.http[0], connections="one", concurrency=4, requests=8)
    client.run(one)
    entries = server.ledger(name)["batches"][name]["entries"]
    assert len({entry["connection"] for entry in entries}) == 1
    assert [entry["index"] for entry in entries] == list(range(8))


def test_a_body_that_is_larger_than_all_windows_arrives(client: Probe, server: Probe) -> None:
    found = client.run(batch(server.http[0], method="POST", body="x" * 3_000_000, requests=2))
    assert found.column("status") == [200, 200]


def test_answers_wait_for_the_windows_of_the_client(server: Probe) -> None:
    # Windows of 10 octets: each answer has to be sent in many parts.
    talk = H2Connection(H2Configuration(header_encoding="utf-8"))
    talk.initiate_connection()
    talk.update_settings({4: 10})
    heads = [(":method", "GET"), (":scheme", "http"), (":authority", "v1"), (":path", "/")]
    for stream in (1, 3):
        talk.send_headers(stream, heads, end_stream=True)
    bodies = {1: b"", 3: b""}
    for event in conversation(server, talk):
        if isinstance(event, DataReceived):
            bodies[event.stream_id] += event.data
            assert len(event.data) <= 10
            if event.stream_ended is None:
                talk.increment_flow_control_window(len(event.data), event.stream_id)
    assert [json.loads(body)["server"] for body in bodies.values()] == ["v1", "v1"]


def conversation(server: Probe, talk: H2Connection) -> Iterator[Event]:
    """The server's events until two streams or the connection have ended."""
    ended = 0
    with socket.create_connection(("127.0.0.1", server.http[0]), timeout=5) as sock:
        sock.sendall(talk.data_to_send())
        while ended < 2 and (data := sock.recv(65536)):
            for event in talk.receive_data(data):
                ended += isinstance(event, StreamEnded) + 2 * isinstance(event, ConnectionTerminated)
                yield event
            sock.sendall(talk.data_to_send())


def test_a_client_that_breaks_the_protocol_gets_a_goaway_and_the_server_lives(
    client: Probe, server: Probe
) -> None:
    unidentified = server.ledger()["unidentified"]
    with socket.create_connection(("127.0.0.1", server.http[0]), timeout=5) as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x00\x00\x00\x00\x00\x00")
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    # A frame of the kind GOAWAY (7).
    assert b"\x00\x00\x08\x07" in said
    assert server.ledger()["unidentified"] == unidentified + 1
    assert client.run(batch(server.http[0])).column("server") == ["v1"]


def test_a_preface_may_arrive_in_pieces(server: Probe) -> None:
    talk = H2Connection(H2Configuration())
    talk.initiate_connection()
    wire = talk.data_to_send()
    with socket.create_connection(("127.0.0.1", server.http[0]), timeout=5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(wire), 5):
            sock.sendall(wire[start : start + 5])
        assert sock.recv(65536)[3] == 4


def test_a_method_that_begins_like_the_preface_is_http_1(server: Probe) -> None:
    with socket.create_connection(("127.0.0.1", server.http[0]), timeout=5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (b"P", b"R", b"INT / HTTP/1.1\r\nConnection: close\r\n\r\n"):
            sock.sendall(part)
        assert b'"method":"PRINT"' in b"".join(iter(lambda: sock.recv(65536), b""))


def test_an_instruction_with_an_invalid_number_is_refused(client: Probe, server: Probe) -> None:
    found = client.run(batch(server.http[0], headers={"x-probe-status": "many"}))
    assert found.rows["b"][0][2:5] == [None, None, 400]


# Misbehaving servers


def test_a_stream_that_is_reset_fails_and_its_connection_is_not_reused(client: Probe) -> None:
    def answering(talk: Http2Peer, stream: int, nonce: str) -> None:
        if nonce == "b.0":
            talk.h2.reset_stream(stream, 7)
            talk.flush()
        else:
            talk.answer(stream, nonce)

    with peer(speaking(answering)) as seen:
        found = client.run(batch(seen.port, requests=3))
    assert found.column("failure") == ["reset", None, None]
    assert found.column("connection") == [1, 2, 2]


def test_streams_begun_before_a_goaway_are_answered_and_later_ones_are_not(client: Probe) -> None:
    begun: list[tuple[int, str]] = []

    def answering(talk: Http2Peer, stream: int, nonce: str) -> None:
        begun.append((stream, nonce))
        if talk.seen.connections > 1:
            talk.answer(stream, nonce)
        elif len(begun) == 3:
            # GOAWAY by hand: h2 would end the connection.
            talk.sock.sendall(bytes((0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0)))
            for one in begun[:2]:
                talk.answer(*one)

    with peer(speaking(answering)) as seen:
        found = client.run(batch(seen.port, requests=5, concurrency=3, connections="one"))
    assert {row[0]: (row[1], row[6]) for row in found.rows["b"]} == {
        **{0: (1, None), 1: (1, None), 2: (1, "closed")},
        **{3: (2, None), 4: (2, None)},
    }


def test_a_connection_that_breaks_fails_all_its_streams(client: Probe) -> None:
    def answering(talk: Http2Peer, stream: int, nonce: str) -> None:
        if stream == 5:
            talk.sock.shutdown(socket.SHUT_RDWR)

    with peer(speaking(answering)) as seen:
        found = client.run(batch(seen.port, requests=3, concurrency=3, connections="one"))
    assert found.column("failure") == ["closed"] * 3
    assert set(found.column("connection")) == {1}


def test_no_more_streams_are_begun_than_the_server_admits(client: Probe) -> None:
    most = 0

    def script(sock: socket.socket, seen: Peer) -> None:
        nonlocal most
        talk = Http2Peer(sock, seen)
        talk.h2.update_settings({3: 2})
        talk.flush()
        waiting: list[tuple[int, str]] = []
        for event in talk.events():
            if isinstance(event, RequestReceived):
                assert event.stream_id is not None
                waiting.append((event.stream_id, str(dict(event.headers)["x-probe-nonce"])))
                most = max(most, len(waiting) if event.stream_id > 15 else 0)
                if len(waiting) == 2 or event.stream_id == 39:
                    for one in waiting:
                        talk.answer(*one)
                    waiting.clear()

    with peer(script) as seen:
        found = client.run(batch(seen.port, requests=20, concurrency=8, connections="one"))
    assert Counter(found.column("failure")) == {None: 20}
    assert Counter(found.column("connection")) == {1: 20}
    assert most == 2


def test_an_answer_to_another_request_is_a_mismatch(client: Probe) -> None:
    with peer(speaking(lambda talk, stream, nonce: talk.answer(stream, "b.7"))) as seen:
        found = client.run(batch(seen.port))
    assert found.column("failure") == ["mismatch"]


def test_a_foreign_answer_keeps_its_status_and_a_sample(client: Probe) -> None:
    def answering(talk: Http2Peer, stream: int, nonce: str) -> None:
        talk.tell(stream, [(":status", "403")], b"RBAC: access denied")

    with peer(speaking(answering)) as seen:
        found = client.run(batch(seen.port, requests=3))
    assert [row[1:5] for row in found.rows["b"]] == [[1, None, None, 403]] * 3
    assert found.totals()["samples"] == [["HTTP/2 403\r\n\r\nRBAC: access denied", 3]]


def test_a_server_of_http_1_does_not_speak_the_protocol(client: Probe) -> None:
    with peer(always(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")) as seen:
        found = client.run(batch(seen.port))
    assert found.column("failure") == ["protocol"]
    assert found.totals()["samples"] == [["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 1]]


# gRPC


def test_a_call_differs_from_other_requests_by_its_fields_and_framing(client: Probe) -> None:
    bodies: list[bytes] = []

    def script(sock: socket.socket, seen: Peer) -> None:
        talk = Http2Peer(sock, seen)
        for event in talk.events():
            if isinstance(event, RequestReceived):
                seen.heads.append(json.dumps(dict(event.headers)))
            elif isinstance(event, DataReceived):
                bodies.append(event.data)
                talk.sock.shutdown(socket.SHUT_RDWR)

    with peer(script) as seen:
        client.run(batch(seen.port, protocol="grpc", path="/pkg.Service/Echo", body="hi"))
    expected = {":method": "POST", ":path": "/pkg.Service/Echo"}
    assert expected.items() <= json.loads(seen.heads[0]).items()
    assert {"content-type": "application/grpc", "te": "trailers"}.items() <= json.loads(seen.heads[0]).items()
    assert bodies == [b"\0\0\0\0\x02hi"]


def test_a_call_is_answered_by_a_message_and_trailers(server: Probe) -> None:
    talk = H2Connection(H2Configuration(header_encoding="utf-8"))
    talk.initiate_connection()
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", "v1"), (":path", "/pkg.Service/Any")]
    for stream, told in ((1, "200"), (3, "500")):
        head = [*fields, ("content-type", "application/grpc+proto"), ("x-probe-status", told)]
        talk.send_headers(stream, head)
        talk.send_data(stream, grpc_message(b""), end_stream=True)
    heard = list(conversation(server, talk))
    statuses = [dict(event.headers)[":status"] for event in heard if isinstance(event, ResponseReceived)]
    trailers = [dict(event.headers) for event in heard if isinstance(event, TrailersReceived)]
    messages = [json.loads(grpc_content(event.data)) for event in heard if isinstance(event, DataReceived)]
    assert statuses == ["200", "200"]
    assert trailers == [{"grpc-status": "0"}, {"grpc-status": "2"}]
    assert [message["server"] for message in messages] == ["v1", "v1"]


def test_the_outcome_of_a_call_is_its_status(client: Probe, server: Probe) -> None:
    failing = {"x-probe-status": "500"}
    found = client.run(
        batch(server.http[0], id="good", protocol="grpc"),
        batch(server.http[0], id="bad", protocol="grpc", headers=failing),
    )
    rows = [found.rows[name][0][2:5] for name in ("good", "bad")]
    assert rows == [["v1", server.http[0], 200], ["v1", server.http[0], "grpc-2"]]


@pytest.mark.parametrize(
    ("headers", "body", "trailers", "observed"),
    [
        pytest.param(
            {":status": "200", "grpc-status": "7", "grpc-message": "denied"},
            b"",
            {},
            ("grpc-7", None),
            id="denied",
        ),
        pytest.param({":status": "403"}, b"RBAC", {}, (403, None), id="denied by status"),
        pytest.param({":status": "200"}, grpc_message(b"x"), {}, (None, "protocol"), id="no trailers"),
        pytest.param(
            {":status": "200"}, b"\0\0\0\0\x09cut", {"grpc-status": "0"}, (None, "protocol"), id="cut short"
        ),
        pytest.param(
            {":status": "200"}, grpc_message(b"hello"), {"grpc-status": "0"}, (200, None), id="somebody else"
        ),
    ],
)
def test_the_answer_of_a_proxy_to_a_call_is_understood(
    client: Probe,
    headers: dict[str, str],
    body: bytes,
    trailers: dict[str, str],
    observed: tuple[int | str | None, str | None],
) -> None:
    def answering(talk: Http2Peer, stream: int, nonce: str) -> None:
        talk.tell(stream, list(headers.items()), body, list(trailers.items()))

    with peer(speaking(answering)) as seen:
        found = client.run(batch(seen.port, protocol="grpc"))
    assert (*found.column("server"), *found.column("status"), *found.column("failure")) == (None, *observed)


# Frames


GOAWAY = bytes((0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0))
SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
PING = bytes((0, 0, 8, 6, 0, 0, 0, 0, 0)) + b"12345678"


@pytest.mark.parametrize("size", [1, 4, 10, 100])
def test_frames_come_out_whole_without_the_goaway(size: int) -> None:
    frames = FrameReader()
    wire = SETTINGS + PING + GOAWAY + PING
    out = [frames.feed(wire[start : start + size]) for start in range(0, len(wire), size)]
    assert b"".join(out) == SETTINGS + PING + PING
    assert frames.last_stream == 5


@pytest.mark.parametrize("wire", [b"HTTP/1.1 400", b"\x15\x03\x03\x00", PING])
def test_data_that_does_not_begin_with_settings_is_not_http2(wire: bytes) -> None:
    with pytest.raises(Malformed):
        FrameReader().feed(wire)

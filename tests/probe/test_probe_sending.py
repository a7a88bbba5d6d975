from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from itertools import count
from typing import Any

import pytest
from probe_peers import Peer, Probe, always, nonce_of, outcome, peer, read_head, said_by

_names = (f"s{number}" for number in count())


def batch(port: int, **changes: Any) -> dict[str, Any]:
    return {"id": "b", "protocol": "http", "host": "127.0.0.1", "port": port, "requests": 1, **changes}


def named(port: int, **changes: Any) -> tuple[str, dict[str, Any]]:
    name = next(_names)
    return name, batch(port, id=name, **changes)


def ports(server: Probe, protocol: str) -> int:
    raw = {"tcp": server.tcp, "udp": server.udp, "greeting": server.greeting}
    return raw.get(protocol, server.http)[0]


@pytest.mark.parametrize("protocol", ["http", "http2", "grpc", "tcp", "udp"])
@pytest.mark.parametrize("connections", ["fresh", "reuse"])
def test_each_request_is_observed_once_and_is_in_the_ledger(
    client: Probe, server: Probe, protocol: str, connections: str
) -> None:
    name, one = named(ports(server, protocol), protocol=protocol, connections=connections, concurrency=8)
    found = client.run({**one, "requests": 450})
    assert found.end["complete"]
    assert sorted(found.column("index", name)) == list(range(450))
    assert Counter(found.column("server", name)) == {"v1": 450}
    assert Counter(found.column("port", name)) == {one["port"]: 450}
    assert Counter(found.column("status", name)) == {None if protocol in ("tcp", "udp") else 200: 450}
    assert Counter(found.column("failure", name)) == {None: 450}
    assert len(set(found.column("connection", name))) == (450 if connections == "fresh" else 8)
    ledger = server.ledger(name, indices=True)["batches"][name]
    assert (ledger["count"], ledger["hits"], ledger["indices"]) == (450, 450, [[0, 449]])
    assert len(ledger["entries"]) == 200


def test_the_client_waits_for_a_server_that_speaks_first(client: Probe, server: Probe) -> None:
    name, one = named(server.greeting[0], protocol="greeting", concurrency=8)
    found = client.run({**one, "requests": 450})
    assert found.end["complete"]
    assert Counter(found.column("server", name)) == {"v1": 450}
    assert Counter(found.column("failure", name)) == {None: 450}
    assert len(set(found.column("connection", name))) == 450
    ledger = server.ledger(name, indices=True)["batches"][name]
    assert (ledger["count"], ledger["hits"], ledger["indices"]) == (450, 450, [[0, 449]])


@pytest.mark.parametrize(
    ("greeting", "failure"),
    [
        (b"", "timeout"),
        (b'{"server":"v1",', "timeout"),
        (b"220 mail.example.org ESMTP\r\n", "protocol"),
        (b'{"server":"v1","port":1,"nonce":""}\nand more', "protocol"),
        (b"x" * 100_000, "protocol"),
        (b"\x15\x03\x03\x00\x02\x02\x28\n", "tls"),
        (b'{"server":"v1","port":1,"nonce":""}\n', "timeout"),
    ],
    ids=["none", "half", "another", "more", "endless", "TLS", "silence after it"],
)
def test_an_invalid_greeting_is_a_failure(client: Probe, greeting: bytes, failure: str) -> None:
    def greet(sock: socket.socket, seen: Peer) -> None:
        sock.sendall(greeting)
        while read := sock.recv(65536):
            seen.heads.append(read.decode())

    with peer(greet) as seen:
        found = client.run(batch(seen.port, protocol="greeting", timeout_s=0.2))
    assert found.column("failure") == [failure]
    assert seen.heads == (["b.0\n"] if greeting.endswith(b"}\n") else [])


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_a_connection_carries_as_many_requests_as_the_plan_allows(
    client: Probe, server: Probe, protocol: str
) -> None:
    found = client.run(batch(server.http[0], protocol=protocol, requests=22, per_connection=5, concurrency=1))
    assert sorted(Counter(found.column("connection")).values()) == [2, 5, 5, 5, 5]
    assert found.totals()["connections"] == 5


@pytest.mark.parametrize("protocol", ["http", "http2", "grpc", "tcp"])
def test_a_single_connection_carries_all_requests_if_the_plan_says_so(
    client: Probe, server: Probe, protocol: str
) -> None:
    name, one = named(ports(server, protocol), protocol=protocol, connections="one", concurrency=8)
    found = client.run({**one, "requests": 450})
    assert Counter(found.column("server", name)) == {"v1": 450}
    assert Counter(found.column("connection", name)) == {1: 450}


def test_the_lines_of_an_outcome_add_up(client: Probe, server: Probe) -> None:
    found = client.run(batch(server.http[0], requests=450, concurrency=4))
    assert found.lines[0]["kind"] == "start"
    assert found.end["kind"] == "end"
    assert found.end["lines"] == len(found.lines) - 1
    assert [len(line["observations"]) for line in found.lines[1:-1]] == [200, 200, 50]
    assert found.totals()["observations"] == found.totals()["sent"] == 450


@pytest.mark.parametrize("protocol", ["http", "http2"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "PURGE"])
def test_any_method_is_sent_and_its_answer_understood(
    client: Probe, server: Probe, method: str, protocol: str
) -> None:
    name, one = named(server.http[0], protocol=protocol, method=method, requests=2, concurrency=1)
    found = client.run(one)
    assert [found.column(column, name) for column in ("server", "failure")] == [["v1"] * 2, [None] * 2]
    assert server.ledger(name)["batches"][name]["entries"][0]["method"] == method


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_an_instructed_status_is_observed(client: Probe, server: Probe, protocol: str) -> None:
    for status in (204, 304, 404, 503):
        headers = {"x-probe-status": str(status)}
        found = client.run(batch(server.http[0], protocol=protocol, headers=headers))
        assert found.rows["b"][0][2:5] == ["v1", server.http[0], status]


def on_the_wire(client: Probe, **changes: Any) -> list[str]:
    with peer(always(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")) as seen:
        client.run(batch(seen.port, **changes))
    return seen.heads[0].replace(str(seen.port), "PORT").split("\r\n")


def test_headers_are_sent_in_the_given_spelling_and_order(client: Probe) -> None:
    headers = [["X-BETA", "1"], ["x-alpha", "two  words"], ["User-agent", "Firefox"], ["X-BETA", "2"]]
    assert on_the_wire(client, path="/x?y=%7e", headers=headers) == [
        *("GET /x?y=%7e HTTP/1.1", "Host: 127.0.0.1:PORT"),
        *("X-BETA: 1", "x-alpha: two  words", "User-agent: Firefox", "X-BETA: 2"),
        *("x-probe-nonce: b.0", "", ""),
    ]


def test_the_host_is_sent_as_given(client: Probe) -> None:
    lines = on_the_wire(client, headers={"hoST": "other"})
    assert lines == ["GET / HTTP/1.1", "hoST: other", "x-probe-nonce: b.0", "", ""]


def test_a_body_is_sent_with_its_length(client: Probe) -> None:
    assert on_the_wire(client, method="POST", body="grün")[2:] == [
        *("content-length: 5", "x-probe-nonce: b.0", ""),
        "grün".encode().decode("latin-1"),
    ]


def test_a_body_is_sent_in_chunks_with_transfer_encoding(client: Probe, server: Probe) -> None:
    name, one = named(server.http[0], method="POST", headers={"Transfer-Encoding": "chunked"}, body="abc")
    found = client.run({**one, "requests": 3, "concurrency": 1})
    assert Counter(found.column("connection", name)) == {1: 3}


def test_a_client_without_further_requests_sends_connection_close(client: Probe) -> None:
    assert "connection: close" in on_the_wire(client, connections="fresh")
    assert "connection: close" not in on_the_wire(client, connections="reuse")


def reset(sock: socket.socket, seen: Peer) -> None:
    read_head(sock, seen)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def never(sock: socket.socket, seen: Peer) -> None:
    while read_head(sock, seen):
        pass


@pytest.mark.parametrize("protocol", ["http", "http2", "tcp"])
@pytest.mark.parametrize(
    ("script", "failure"),
    [
        pytest.param(always(b""), "closed", id="closes"),
        pytest.param(reset, "reset", id="resets"),
        pytest.param(always(b"\x15\x03\x03\x00\x02\x02\x28"), "tls", id="speaks TLS"),
        pytest.param(never, "timeout", id="never answers"),
    ],
)
def test_the_failures_of_a_peer_are_distinguished(
    client: Probe, protocol: str, script: Any, failure: str
) -> None:
    with peer(script) as seen:
        found = client.run(batch(seen.port, protocol=protocol, timeout_s=0.1))
    assert found.column("failure") == [failure]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n",
    ],
)
def test_a_truncated_answer_is_a_failure(client: Probe, answer: bytes) -> None:
    with peer(always(answer)) as seen:
        found = client.run(batch(seen.port))
    assert found.rows["b"][0][2:5] == [None, None, None]
    assert found.column("failure") == ["closed"]


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example.org ESMTP\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
    ],
)
@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_an_invalid_answer_breaks_the_protocol(client: Probe, answer: bytes, protocol: str) -> None:
    with peer(always(answer)) as seen:
        found = client.run(batch(seen.port, protocol=protocol))
    assert found.column("failure") == ["protocol"]
    assert found.totals()["failures"] == {"protocol": 1}


@pytest.mark.parametrize(
    ("protocol", "answer"),
    [
        ("http", said_by("v1", "b.1")),
        ("http", said_by("v1", "other.0")),
        ("http", b'HTTP/1.1 200 OK\r\n\r\n{"server":"v1","port":1,"nonce":null}'),
        ("tcp", b'{"server":"v1","port":1,"nonce":"b.1"}\nb.0\n'),
        ("tcp", b'{"server":"v1","port":1,"nonce":"b.0"}\nb.1\n'),
    ],
)
def test_an_answer_to_another_request_is_a_mismatch(client: Probe, protocol: str, answer: bytes) -> None:
    with peer(always(answer)) as seen:
        found = client.run(batch(seen.port, protocol=protocol))
    assert found.column("failure") == ["mismatch"]


@pytest.mark.parametrize(
    "framed",
    [
        pytest.param("HTTP/1.1 200 OK\r\nCONTENT-LENGTH: {n}\r\n\r\n{body}", id="length"),
        pytest.param(
            "HTTP/1.1 200\r\ntransfer-encoding: chunked\r\n\r\n{x}\r\n{body}\r\n0\r\n\r\n", id="chunk"
        ),
        pytest.param("HTTP/1.0 200 OK\r\n\r\n{body}", id="until close"),
        pytest.param(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n{body}", id="interim"
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_answers_are_read_however_they_are_framed(client: Probe, framed: str, size: int) -> None:
    body = '{"server": "odd", "port": 5, "nonce": "b.0"}'
    wire = framed.format(n=len(body), x=f"{len(body):x}", body=body).encode()

    def script(sock: socket.socket, seen: Peer) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_head(sock, seen)
        for start in range(0, len(wire), size):
            sock.sendall(wire[start : start + size])

    with peer(script) as seen:
        found = client.run(batch(seen.port))
    assert found.rows["b"][0][2:5] == ["odd", 5, 200]
    assert found.column("failure") == [None]


def test_a_foreign_answer_keeps_its_status_and_a_sample(client: Probe) -> None:
    text = "RBAC: access denied " * 50
    with peer(
        always(f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
    ) as seen:
        found = client.run(batch(seen.port, requests=3, connections="fresh"))
    assert [row[2:5] for row in found.rows["b"]] == [[None, None, 403]] * 3
    assert found.column("failure") == [None] * 3
    assert found.totals()["samples"] == [[f"HTTP/1.1 403 Forbidden\r\n\r\n{text}"[:200].rstrip(), 3]]


def test_a_redirect_is_kept_with_its_location_and_server(client: Probe) -> None:
    head = "HTTP/1.1 302 Found\r\nX: y\r\nServer: odd\r\nLocation: https://login.test/\r\nContent-Length: 0"
    with peer(always(f"{head}\r\n\r\n".encode())) as seen:
        found = client.run(batch(seen.port, requests=2, connections="fresh"))
    said = "HTTP/1.1 302 Found\r\nlocation: https://login.test/\r\nserver: odd"
    assert found.totals()["samples"] == [[said, 2]]


def test_http_in_answer_to_raw_tcp_is_kept(client: Probe) -> None:
    with peer(always(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")) as seen:
        found = client.run(batch(seen.port, protocol="tcp", requests=2, connections="fresh"))
    assert found.column("failure") == ["protocol"] * 2
    ((said, count),) = found.totals()["samples"]
    assert (said[:24], count) == ("HTTP/1.1 400 Bad Request", 2)


def test_bodies_that_differ_each_time_do_not_crowd_out_another_outcome(client: Probe) -> None:
    def script(sock: socket.socket, seen: Peer) -> None:
        nonce = nonce_of(read_head(sock, seen))
        status = "503 Unavailable" if nonce == "b.7" else "404 Not Found"
        sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(nonce)}\r\n\r\n{nonce}".encode())

    with peer(script) as seen:
        found = client.run(batch(seen.port, requests=10, concurrency=1, connections="fresh"))
    samples = [said for said, _ in found.totals()["samples"]]
    assert samples == [
        *(f"HTTP/1.1 404 Not Found\r\n\r\nb.{index}" for index in (0, 1)),
        "HTTP/1.1 503 Unavailable\r\n\r\nb.7",
    ]


def test_bytes_that_are_not_text_are_kept_as_escapes(client: Probe) -> None:
    with peer(always(b"\xff\xfe\n")) as seen:
        found = client.run(batch(seen.port, protocol="tcp"))
    assert found.totals()["samples"] == [["\\xff\\xfe\n", 1]]


def test_good_answers_leave_no_sample(client: Probe, server: Probe) -> None:
    found = client.run(batch(server.http[0], requests=20))
    assert found.totals()["samples"] == []


def test_a_request_on_a_connection_that_breaks_is_not_sent_again(client: Probe) -> None:
    def answers_once(sock: socket.socket, seen: Peer) -> None:
        sock.sendall(said_by("v1", nonce_of(read_head(sock, seen))))
        read_head(sock, seen)

    with peer(answers_once) as seen:
        found = client.run(batch(seen.port, requests=6, concurrency=1))
    assert found.column("failure") == [None, "closed"] * 3
    assert found.column("connection") == [1, 1, 2, 2, 3, 3]
    assert seen.nonces == [f"b.{index}" for index in range(6)]


def test_a_connection_with_connection_close_is_not_reused(client: Probe) -> None:
    def script(sock: socket.socket, seen: Peer) -> None:
        sock.sendall(said_by("v1", nonce_of(read_head(sock, seen)), fields="Connection: Close\r\n"))
        read_head(sock, seen)

    with peer(script) as seen:
        found = client.run(batch(seen.port, requests=3, concurrency=1))
    assert (found.column("failure"), found.column("connection")) == ([None] * 3, [1, 2, 3])


def test_a_connection_closed_while_idle_is_no_failure(client: Probe) -> None:
    def script(sock: socket.socket, seen: Peer) -> None:
        sock.sendall(said_by("v1", nonce_of(read_head(sock, seen))))

    with peer(script) as seen:
        found = client.run(batch(seen.port, requests=3, concurrency=1, duration_s=0.15))
    assert (found.column("failure"), found.column("connection")) == ([None] * 3, [1, 2, 3])


def test_an_answer_that_comes_before_the_request_is_read_is_an_answer(client: Probe) -> None:
    def script(sock: socket.socket, seen: Peer) -> None:
        sock.recv(1)
        sock.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    with peer(script) as seen:
        found = client.run(batch(seen.port, method="POST", body="x" * 2_000_000))
    assert (found.column("status"), found.column("failure")) == ([413], [None])


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("protocol", ["http", "http2", "tcp", "udp"])
def test_a_port_without_a_listener_refuses(client: Probe, protocol: str) -> None:
    port = free_port(socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM)
    found = client.run(batch(port, protocol=protocol, requests=40, concurrency=8))
    assert Counter(found.column("failure")) == {"refused": 40}


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_an_address_without_route_is_unreachable(client: Probe, protocol: str) -> None:
    found = client.run(batch(80, host="255.255.255.255", protocol=protocol, requests=40, concurrency=8))
    assert Counter(found.column("failure")) == {"unreachable": 40}
    ((said, count),) = found.totals()["samples"]
    assert (said[:8], count) == ("kernel: ", 40)


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_an_unknown_name_fails_each_request(client: Probe, protocol: str) -> None:
    unknown = batch(80, host="no-such-name.invalid", protocol=protocol, requests=300, concurrency=8)
    found = client.run(unknown)
    assert Counter(found.column("failure")) == {"dns": 300}
    ((said, count),) = found.totals()["samples"]
    assert (said[:10], count) == ("resolver: ", 300)
    assert Counter(found.column("connection")) == {0: 300}
    assert found.end["complete"]


def test_a_name_is_resolved(client: Probe, server: Probe) -> None:
    found = client.run(batch(server.http[0], host="localhost"))
    assert (found.column("server"), found.totals()["address"]) == (["v1"], "127.0.0.1")


def test_udp_without_an_answer_times_out(client: Probe) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        found = client.run(batch(sock.getsockname()[1], protocol="udp", requests=3, timeout_s=0.03))
    assert found.column("failure") == ["timeout"] * 3


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_a_timeout_delays_no_other_request(client: Probe, server: Probe, protocol: str) -> None:
    headers = {"x-probe-delay-ms": "5000"}
    slow, one = named(server.http[0], protocol=protocol, headers=headers, timeout_s=0.1, requests=4)
    fast, other = named(server.http[0], requests=100, concurrency=2)
    found = client.run({**one, "concurrency": 4}, other, parallel=True)
    assert found.column("failure", slow) == ["timeout"] * 4
    assert all(100_000 <= latency < 1_000_000 for latency in found.column("latency_us", slow))
    assert Counter(found.column("failure", fast)) == {None: 100}
    assert server.ledger(slow)["batches"][slow]["count"] == 4


def interleaving(client: Probe, *, parallel: bool) -> list[str]:
    def script(sock: socket.socket, seen: Peer) -> None:
        while head := read_head(sock, seen):
            sock.sendall(said_by("v1", nonce_of(head)))

    with peer(script) as seen:
        batches = [
            batch(seen.port, id=name, requests=5, concurrency=1, duration_s=0.1) for name in ("p", "q")
        ]
        client.run(*batches, parallel=parallel)
    return [nonce.partition(".")[0] for nonce in seen.nonces]


def test_batches_side_by_side_interleave(client: Probe) -> None:
    order = interleaving(client, parallel=True)
    assert [set(order[start : start + 2]) for start in range(0, 10, 2)] == [{"p", "q"}] * 5


def test_batches_one_after_another_do_not_interleave(client: Probe) -> None:
    assert interleaving(client, parallel=False) == ["p"] * 5 + ["q"] * 5


def test_requests_are_spread_evenly_over_a_duration(client: Probe, server: Probe) -> None:
    before = time.monotonic()
    found = client.run(batch(server.http[0], requests=20, duration_s=0.4, concurrency=4))
    assert 0.38 <= time.monotonic() - before < 1
    assert found.totals()["complete"]
    assert len(set(found.column("connection"))) == 4


def test_the_deadline_aborts_the_plan_and_the_end_line_reports_it(client: Probe, server: Probe) -> None:
    waiting = batch(
        server.http[0], requests=10, concurrency=2, headers={"x-probe-delay-ms": "9000"}, timeout_s=30
    )
    found = client.run(waiting, {**waiting, "id": "later"}, deadline_s=0.1)
    assert not found.end["complete"]
    assert found.column("failure") == ["timeout"] * 2
    assert (found.totals()["sent"], found.totals("later")["sent"]) == (2, 0)


def test_traffic_ends_when_its_client_disconnects(client: Probe) -> None:
    arrived = threading.Event()

    def script(sock: socket.socket, seen: Peer) -> None:
        read_head(sock, seen)
        arrived.set()
        read_head(sock, seen)

    with peer(script) as seen:
        plan = {"batches": [batch(seen.port, timeout_s=60)]}
        with client.open(b'{"op":"run","plan":%b}\n' % str(plan).replace("'", '"').encode()):
            assert arrived.wait(5)
            assert not seen.ended.is_set()
        assert seen.ended.wait(5)


def test_a_lost_line_is_detectable(client: Probe, server: Probe) -> None:
    whole = client.run(batch(server.http[0], requests=450, concurrency=4))
    holed = outcome([whole.lines[0], *whole.lines[2:]])
    assert holed.end["lines"] != len(holed.lines) - 1
    assert len(holed.rows["b"]) != holed.totals()["observations"]


@pytest.mark.parametrize("following_first", [True, False])
def test_a_batch_that_follows_others_lasts_as_long_as_they_do(
    client: Probe, server: Probe, following_first: bool
) -> None:
    spread = {**batch(server.http[0]), "id": "spread", "requests": 11, "duration_s": 0.5}
    following = {**batch(server.http[0]), "id": "following", "requests": None}
    following |= {"rate_per_s": 100, "until": "others"}
    batches = [following, spread] if following_first else [spread, following]
    found = client.run(*batches, parallel=True)
    assert found.end["complete"]
    assert found.totals("spread")["sent"] == 11
    assert found.totals("following")["sent"] >= 2
    # The observations of a batch are reported at its end, at the latest.
    told = [line["batch"] for line in found.lines if "observations" in line]
    assert told == ["spread", "following"]

from __future__ import annotations

import json
import random
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from probe_peers import Probe, start_probe, stop_probe


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def exchange(port: int, *parts: bytes) -> bytes:
    """All bytes from the server until it closes."""
    with connect(port) as sock:
        for part in parts:
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def get(port: int, head: str, body: bytes = b"") -> tuple[str, bytes]:
    answer = exchange(port, f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
    fields, _, said = answer.partition(b"\r\n\r\n")
    return fields.decode(), said


def said(answer: tuple[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer[1])
    return found


def test_an_answer_names_its_server_and_its_request(server: Probe) -> None:
    answer = get(
        server.http[1], "POST /a?b=c HTTP/1.1\r\nHost: v1\r\nx-probe-nonce: who.3\r\nContent-Length: 0"
    )
    fields, _ = answer
    expected = {"server": "v1", "port": server.http[1], "nonce": "who.3", "method": "POST", "path": "/a?b=c"}
    assert expected.items() <= said(answer).items()
    assert fields.startswith("HTTP/1.1 200 OK\r\n")
    assert "x-probe-server: v1\r\n" in fields


def test_header_and_body_arrive_together(server: Probe) -> None:
    with connect(server.http[0]) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: v1\r\n\r\n")
        head, _, body = sock.recv(65536).partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head
        assert json.loads(body)["server"] == "v1"


def test_head_is_answered_like_get_without_the_body(server: Probe) -> None:
    fields, body = get(server.http[0], "HEAD / HTTP/1.1\r\nHost: v1\r\nx-probe-nonce: head.0")
    assert body == b""
    assert "x-probe-nonce: head.0" in fields
    assert "content-length: 0" not in fields


@pytest.mark.parametrize(
    ("told", "answered"), [(500, 500), (404, 404), (299, 299), (100, 200), (999999, 599)]
)
def test_a_server_fails_as_instructed(server: Probe, told: int, answered: int) -> None:
    answer = get(server.http[0], f"GET / HTTP/1.1\r\nHost: v1\r\nX-Probe-Status: {told}")
    assert answer[0].startswith(f"HTTP/1.1 {answered} ")
    assert said(answer)["server"] == "v1"


@pytest.mark.parametrize(("at", "answered"), [("v1", 500), ("v2", 200)])
def test_an_instruction_for_a_single_server_holds_for_that_alone(
    server: Probe, at: str, answered: int
) -> None:
    told = f"X-Probe-Status: 500\r\nX-Probe-At: {at}"
    assert get(server.http[0], f"GET / HTTP/1.1\r\nHost: v1\r\n{told}")[0].startswith(f"HTTP/1.1 {answered} ")


def test_an_answer_without_content_has_no_body(server: Probe) -> None:
    fields, body = get(server.http[0], "GET / HTTP/1.1\r\nHost: v1\r\nx-probe-status: 204")
    assert (fields.split("\r\n")[0], body) == ("HTTP/1.1 204 No Content", b"")
    assert "content-length" not in fields


def test_a_server_delays_as_instructed(server: Probe) -> None:
    before = time.monotonic()
    said(get(server.http[0], "GET / HTTP/1.1\r\nHost: v1\r\nx-probe-delay-ms: 50"))
    assert time.monotonic() - before >= 0.05


def read_answers(sock: socket.socket, number: int) -> list[dict[str, Any]]:
    lines = sock.makefile("rb")
    answers = []
    for _ in range(number):
        length = 0
        while (line := lines.readline()) != b"\r\n":
            if line.startswith(b"content-length: "):
                length = int(line[16:])
        answers.append(json.loads(lines.read(length)))
    return answers


def test_pipelined_requests_are_answered_in_order_even_behind_a_slow_one(server: Probe) -> None:
    slow = "x-probe-delay-ms: 30\r\n"
    requests = [f"GET /{n} HTTP/1.1\r\nHost: v1\r\n{slow if n == 1 else ''}\r\n" for n in range(20)]
    with connect(server.http[0]) as sock:
        sock.sendall("".join(requests).encode())
        assert [answer["path"] for answer in read_answers(sock, 20)] == [f"/{n}" for n in range(20)]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("Content-Length: 11\r\n\r\nhello world", id="of stated length"),
        pytest.param(
            "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", id="chunked"
        ),
        pytest.param(
            "transfer-encoding: Chunked\r\n\r\nB\r\nhello world\r\n0\r\nT: x\r\n\r\n", id="with trailers"
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_bodies_are_read_in_any_pieces(server: Probe, body: str, size: int) -> None:
    wire = f"POST /1 HTTP/1.1\r\nHost: v1\r\n{body}GET /2 HTTP/1.1\r\nHost: v1\r\n\r\n".encode()
    with connect(server.http[0]) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(wire), size):
            sock.sendall(wire[start : start + size])
        assert [answer["path"] for answer in read_answers(sock, 2)] == ["/1", "/2"]


def test_a_large_body_is_read_and_not_kept(server: Probe) -> None:
    length = 8_000_000
    answer = get(server.http[0], f"PUT / HTTP/1.1\r\nHost: v1\r\nContent-Length: {length}", bytes(length))
    assert said(answer)["method"] == "PUT"


def test_a_client_that_expects_100_continue_gets_it(server: Probe) -> None:
    with connect(server.http[0]) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: v1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ok")
        assert read_answers(sock, 1)[0]["method"] == "POST"


@pytest.mark.parametrize("request_line", ["GET / HTTP/1.0\r\n", "GET / HTTP/1.1\r\nConnection: close\r\n"])
def test_the_connection_is_closed_at_the_request_of_the_client(server: Probe, request_line: str) -> None:
    with connect(server.http[0]) as sock:
        sock.sendall(request_line.encode() + b"\r\n")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nSpace : x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nx-probe-status: many\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000, 431),
    ],
)
def test_an_invalid_request_is_refused(server: Probe, wire: bytes, status: int) -> None:
    assert exchange(server.http[0], wire).startswith(f"HTTP/1.1 {status} ".encode())


def test_no_garbage_ends_a_server(server: Probe) -> None:
    dice = random.Random(7)
    requests = [
        b"GET / HTTP/1.1\r\nx-probe-nonce: z.1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"5\r\n",
    ]
    for _ in range(150):
        wire = b"".join(dice.choice([*requests, dice.randbytes(8)]) for _ in range(dice.randrange(1, 9)))
        exchange(dice.choice([*server.http, *server.tcp]), wire)
    assert said(get(server.http[0], "GET / HTTP/1.1\r\nHost: v1"))["server"] == "v1"


def test_tcp_lines_are_answered_with_the_server_and_an_echo(server: Probe) -> None:
    with connect(server.tcp[0]) as sock:
        sock.sendall(b"echo.0 hello\necho.1\n")
        lines = sock.makefile("rb")
        read = [lines.readline() for _ in range(4)]
    assert [read[1], read[3]] == [b"echo.0 hello\n", b"echo.1\n"]
    assert {"server": "v1", "port": server.tcp[0], "nonce": "echo.0"}.items() <= json.loads(read[0]).items()
    assert server.ledger("echo")["batches"]["echo"]["count"] == 2


def test_a_server_that_speaks_first_greets_and_then_answers(server: Probe) -> None:
    with connect(server.greeting[0]) as sock:
        lines = sock.makefile("rb")
        greeted = json.loads(lines.readline())
        sock.sendall(b"greeted.0 hello\n")
        answered, echo = json.loads(lines.readline()), lines.readline()
    assert {"server": "v1", "port": server.greeting[0], "nonce": ""}.items() <= greeted.items()
    assert answered == {**greeted, "nonce": "greeted.0"}
    assert echo == b"greeted.0 hello\n"
    assert server.ledger("greeted")["batches"]["greeted"]["count"] == 1


def test_udp_datagrams_are_answered_with_the_server_and_an_echo(server: Probe) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(b"datagram.5 hello", ("127.0.0.1", server.udp[0]))
        line, _, echo = sock.recv(65536).partition(b"\n")
    assert echo == b"datagram.5 hello"
    assert json.loads(line)["nonce"] == "datagram.5"


def test_a_server_ends_at_once_on_sigterm(tmp_path: Path, program: Path) -> None:
    probe = start_probe(tmp_path, program, "short")
    with connect(probe.http[0]) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: v1\r\nx-probe-delay-ms: 60000\r\n\r\n")
        before = time.monotonic()
        assert stop_probe(probe) == 0
        assert time.monotonic() - before < 1


def test_a_probe_replaces_a_dead_one_at_its_control_socket(tmp_path: Path, program: Path) -> None:
    instances = []
    for _ in range(2):
        probe = start_probe(tmp_path, program, "again")
        instances.append(probe.ask({"op": "ping"})[0]["instance"])
        probe.process.kill()
        stop_probe(probe)
    assert instances[0] != instances[1]

"""Probes in their own processes, and misbehaving peers."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PYTHON = ("python3", "-I", "-S")


@dataclass(frozen=True)
class Probe:
    """A running probe, controlled over its socket."""

    name: str
    process: subprocess.Popen[bytes]
    control: str
    http: list[int]
    tcp: list[int]
    udp: list[int]
    greeting: list[int]

    def open(self, request: dict[str, Any] | bytes) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX)
        channel.settimeout(10)
        channel.connect(self.control)
        channel.sendall(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")
        return channel

    def ask(self, request: dict[str, Any] | bytes) -> list[dict[str, Any]]:
        with self.open(request) as channel:
            return [json.loads(line) for line in channel.makefile("rb")]

    def ledger(self, *batches: str, **options: Any) -> dict[str, Any]:
        (answer,) = self.ask({"op": "ledger", "batches": batches, **options})
        return answer

    def run(self, *batches: dict[str, Any], **plan: Any) -> Outcome:
        return outcome(self.ask({"op": "run", "plan": {"batches": batches, **plan}}))


@dataclass(frozen=True)
class Outcome:
    lines: list[dict[str, Any]]
    end: dict[str, Any]
    rows: dict[str, list[list[Any]]]

    def totals(self, batch: str = "b") -> dict[str, Any]:
        totals: dict[str, Any] = self.end["batches"][batch]
        return totals

    def column(self, name: str, batch: str = "b") -> list[Any]:
        place = ["index", "connection", "server", "port", "status", "latency_us", "failure"].index(name)
        return [row[place] for row in self.rows[batch]]


def outcome(lines: list[dict[str, Any]]) -> Outcome:
    rows: dict[str, list[list[Any]]] = {}
    for line in lines:
        if "observations" in line:
            rows.setdefault(line["batch"], []).extend(line["observations"])
    return Outcome(lines, lines[-1], rows)


def start_probe(directory: Path, program: Path, name: str) -> Probe:
    control = str(directory / f"{name}.sock")
    ports = [part for one in ("--http", "--http", "--tcp", "--udp", "--greeting") for part in (one, "0")]
    with (directory / f"{name}.stderr").open("wb") as errors:
        process = subprocess.Popen(
            [*PYTHON, str(program), "serve", "--name", name, "--control", control, *ports],
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    return Probe(name, process, control, *(said[each] for each in ("http", "tcp", "udp", "greeting")))


def stop_probe(probe: Probe) -> int:
    probe.process.terminate()
    assert probe.process.stdout is not None
    probe.process.stdout.close()
    return probe.process.wait(5)


@dataclass
class Peer:
    """A misbehaving peer's record: the heads of requests, in order of arrival."""

    port: int
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def nonces(self) -> list[str]:
        return [head.partition("x-probe-nonce: ")[2].partition("\r\n")[0] for head in self.heads]


Script = Callable[[socket.socket, Peer], None]


@contextlib.contextmanager
def peer(script: Script) -> Iterator[Peer]:
    """A loopback server that runs the script on each connection, and then closes it."""
    listening = socket.create_server(("127.0.0.1", 0))
    seen = Peer(listening.getsockname()[1])

    def converse(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(10)
            script(sock, seen)
        seen.ended.set()

    def serve() -> None:
        threads = []
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listening.accept()
                seen.connections += 1
                threads.append(threading.Thread(target=converse, args=(sock,)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    accepting = threading.Thread(target=serve)
    accepting.start()
    try:
        yield seen
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join()


def read_head(sock: socket.socket, seen: Peer) -> str:
    """The next request's head, or the line of TCP; empty when the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data and not re.fullmatch(rb"[^\r\n]+\n", data):
        part = sock.recv(65536)
        if not part:
            return ""
        data += part
    head = data.decode("latin-1")
    seen.heads.append(head)
    return head


def nonce_of(head: str) -> str:
    return head.partition("x-probe-nonce: ")[2].partition("\r\n")[0]


def said_by(server: str, nonce: str, *, fields: str = "") -> bytes:
    """The answer of a probe of this name."""
    body = json.dumps({"server": server, "port": 1, "nonce": nonce})
    return f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def always(answer: bytes) -> Script:
    """Read a request, send this, close."""

    def script(sock: socket.socket, seen: Peer) -> None:
        read_head(sock, seen)
        sock.sendall(answer)

    return script

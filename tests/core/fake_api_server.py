"""A server on loopback that answers as told, and talks on an exec channel as the API server does."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import yaml

STDIN, STDOUT, STDERR, ERROR = range(4)
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Server:
    """``answers`` maps "METHOD path" to status and body; ``converse`` gives the frames for a line."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.converse: Callable[[str], list[tuple[int, str]] | None] = _echo
        self.channels = 0

    @contextmanager
    def serving(self, folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Serve on a free port; gives the path of a kubeconfig for it."""
        handler = type("Handler", (_Handler,), {"told": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        path = folder / "kubeconfig"
        path.write_text(
            yaml.safe_dump(_kubeconfig(server.server_address[1], "https" if tls else "http")),
            encoding="utf-8",
        )
        try:
            yield str(path)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _echo(line: str) -> list[tuple[int, str]]:
    return [(STDOUT, line + "\n\n")]


def _kubeconfig(port: int, scheme: str) -> dict[str, Any]:
    return {
        "current-context": "local",
        "clusters": [{"name": "c", "cluster": {"server": f"{scheme}://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "mine"}}],
        "contexts": [{"name": "local", "context": {"cluster": "c", "user": "u"}}],
    }


class _Handler(BaseHTTPRequestHandler):
    told: Server
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        body = json.loads(text) if text else None
        self.told.asked.append(Asked(self.command, self.path, dict(self.headers), body))
        path = self.path.partition("?")[0]
        status, answer = self.told.answers.get(f"{self.command} {path}", (404, {"message": "not found"}))
        if status == 101:
            self._channel()
            return
        sent = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        pass

    def _channel(self) -> None:
        self.told.channels += 1
        self.close_connection = True
        digest = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + _GUID).encode()).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        self.end_headers()
        # Without standard input the command begins to talk of its own accord.
        while (line := self._line() if "stdin=1" in self.path else "") is not None:
            frames = self.told.converse(line)
            for channel, text in frames or []:
                self._send(bytes([channel]) + text.encode())
            if frames is None:
                return
            if any(channel == ERROR for channel, _ in frames):
                self.wfile.write(b"\x88\x02" + struct.pack("!H", 1000))
                return

    def _line(self) -> str | None:
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 0x0F == 8:
            return None
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.rfile.read(2))
        mask = self.rfile.read(4)
        data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(self.rfile.read(length)))
        assert data[0] == STDIN
        return data[1:].decode().rstrip("\n")

    def _send(self, data: bytes) -> None:
        size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack("!H", len(data))
        self.wfile.write(b"\x82" + size + data)

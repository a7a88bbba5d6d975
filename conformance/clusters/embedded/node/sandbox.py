"""The runner's side of the embedded cluster: starts its node in namespaces of their own, and ends it.

All that the node makes is inside of the namespaces and goes with them. They go when this process closes a
pipe, or when the kernel does so because this process is gone.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import conformance

_PACKAGES = Path(conformance.__file__).resolve().parents[1]
_STAGE = ("-S", "-m", "conformance.clusters.embedded.node.sandbox_entry")
_NODE = (sys.executable, "-m", "conformance.clusters.embedded")
_LAST_LINES = 20
# The kernel takes a node with all its pods down in a fraction of this.
_STOP_S = 20.0


class SandboxError(Exception):
    """The embedded cluster did not start; the text says why, with the node's last words."""


@dataclass(frozen=True, slots=True)
class Running:
    """An embedded cluster: where its API server is, and the process that it stands and falls with.

    `said` are the last lines that the node wrote to its standard error, `ready` is what it said when it was
    ready.
    """

    url: str
    token: str
    process: subprocess.Popen[bytes]
    said: deque[str]
    ready: Mapping[str, Any]

    def last_words(self, within_s: float = 2.0) -> str:
        """What the node said last if it has ended, or does in a moment; empty while it runs."""
        try:
            status = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return ""
        return "; ".join(line for line in self.said if line.strip()) or f"exit status {status}"

    def stop(self) -> None:
        """Remove the cluster with all that is in it; returns when it is gone. May be called again."""
        _end(self.process)


def start(command: Sequence[str] = _NODE, *, within_s: float = 30.0) -> Running:
    """Start the node and wait until its API server answers.

    The command gets two options: the descriptor of a listening socket on the loopback interface, and that of
    a pipe with the token. Raises SandboxError.
    """
    token = secrets.token_urlsafe(32)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = _spawn(command, listening.fileno(), token)
    said: deque[str] = deque(maxlen=_LAST_LINES)
    assert process.stdout is not None  # noqa: S101 - for the type checker
    assert process.stderr is not None  # noqa: S101 - for the type checker
    reading = threading.Thread(target=_drain, args=(process.stderr, said), daemon=True)
    reading.start()
    with ExitStack() as unless_ready:
        unless_ready.callback(process.stdout.close)
        unless_ready.callback(_end, process)
        try:
            ready = _ready_line(process.stdout, within_s)
        except (TimeoutError, EOFError, ValueError) as error:
            _end(process)
            reading.join(_STOP_S)
            last_words = "; ".join(line for line in said if line.strip())
            raise SandboxError(f"the embedded cluster did not start: {error}: {last_words}") from error
        unless_ready.pop_all()
    threading.Thread(target=_drain, args=(process.stdout, said), daemon=True).start()
    return Running(url, token, process, said, ready)


def stage_command(command: Sequence[str]) -> list[str]:
    """The command that runs another one in namespaces of its own."""
    return [sys.executable, *_STAGE, *command]


def stage_environment() -> dict[str, str]:
    """The environment of such a command: this package is found, and so are administrators' tools.

    Nobody is trusted whom the cluster does not name; reading whom this machine trusts takes a while, too.
    """
    path = os.pathsep.join(part for part in (str(_PACKAGES), os.environ.get("PYTHONPATH", "")) if part)
    tools = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return {**os.environ, "PYTHONPATH": path, "PATH": tools, "SSL_CERT_FILE": os.devnull}


def _spawn(command: Sequence[str], listening: int, token: str) -> subprocess.Popen[bytes]:
    # A pipe, for anybody can read command lines.
    told, tell = os.pipe()
    try:
        os.write(tell, token.encode())
        os.close(tell)
        options = ["--socket-fd", str(listening), "--token-fd", str(told)]
        return subprocess.Popen(  # noqa: S603 - arguments, no shell
            stage_command([*command, *options]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=stage_environment(), pass_fds=(listening, told), start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(told)


def _drain(stream: IO[bytes], into: deque[str]) -> None:
    for line in stream:
        into.append(line.decode(errors="replace").rstrip())
    stream.close()


def _ready_line(stream: IO[bytes], within_s: float) -> Mapping[str, Any]:
    """The node's first line. Raises TimeoutError, EOFError, or ValueError where it is not JSON."""
    deadline = time.monotonic() + within_s
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise TimeoutError(f"not ready after {within_s:g} s")
            piece = os.read(stream.fileno(), 4096)
            if not piece:
                raise EOFError("it ended")
            line += piece
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError(f"unexpected first line {line!r}")
    return document


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101 - for the type checker
    process.stdin.close()
    process.wait(_STOP_S)

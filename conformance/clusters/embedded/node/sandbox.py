"""The runner's side of the embedded cluster: starts it in its own namespaces, and ends it.

Everything that the node creates is inside the namespaces and ends with them. They end when this process
closes a pipe, or when the kernel does so because this process is gone.
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
_ENTRY = ("-S", "-m", "conformance.clusters.embedded.node.sandbox_entry")
_NODE = (sys.executable, "-m", "conformance.clusters.embedded")
_LAST_LINES = 20
# The kernel ends a node with all its pods in a fraction of this.
_STOP_S = 20.0


class SandboxError(Exception):
    """The embedded cluster did not start; the message is the reason, with the node's last output."""


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A running embedded cluster: the URL and token of its API server, and the process that it ends with.

    `stderr_tail` has the last lines of the node's standard error, `ready` the content of its first line.
    """

    url: str
    token: str
    process: subprocess.Popen[bytes]
    stderr_tail: deque[str]
    ready: Mapping[str, Any]

    def last_words(self, within_s: float = 2.0) -> str:
        """The node's last output if it has ended, or ends within this time; empty while it runs."""
        try:
            status = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return ""
        return "; ".join(line for line in self.stderr_tail if line.strip()) or f"exit status {status}"

    def stop(self) -> None:
        """Remove the cluster with everything in it; returns when it is gone. Repeated calls are harmless."""
        _end(self.process)


def start(command: Sequence[str] = _NODE, *, within_s: float = 30.0) -> RunningSandbox:
    """Start the node and wait until its API server answers.

    The command gets two options: the descriptors of a listening loopback socket, and of a pipe with the
    token. Raises SandboxError.
    """
    token = secrets.token_urlsafe(32)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = _spawn(command, listening.fileno(), token)
    stderr_tail: deque[str] = deque(maxlen=_LAST_LINES)
    assert process.stdout is not None  # noqa: S101 - for the type checker
    assert process.stderr is not None  # noqa: S101 - for the type checker
    reading = threading.Thread(target=_drain, args=(process.stderr, stderr_tail), daemon=True)
    reading.start()
    with ExitStack() as unless_ready:
        unless_ready.callback(process.stdout.close)
        unless_ready.callback(_end, process)
        try:
            ready = _ready_line(process.stdout, within_s)
        except (TimeoutError, EOFError, ValueError) as error:
            _end(process)
            reading.join(_STOP_S)
            last_words = "; ".join(line for line in stderr_tail if line.strip())
            raise SandboxError(f"the embedded cluster did not start: {error}: {last_words}") from error
        unless_ready.pop_all()
    threading.Thread(target=_drain, args=(process.stdout, stderr_tail), daemon=True).start()
    return RunningSandbox(url, token, process, stderr_tail, ready)


def sandbox_command(command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` in its own namespaces."""
    return [sys.executable, *_ENTRY, *command]


def sandbox_environment() -> dict[str, str]:
    """The environment of a sandbox command: this package and administrators' tools are on its paths.

    No CA certificates of this machine: clients trust only the cluster's, and loading the others takes time.
    """
    path = os.pathsep.join(part for part in (str(_PACKAGES), os.environ.get("PYTHONPATH", "")) if part)
    tools = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return {**os.environ, "PYTHONPATH": path, "PATH": tools, "SSL_CERT_FILE": os.devnull}


def _spawn(command: Sequence[str], listening: int, token: str) -> subprocess.Popen[bytes]:
    # A pipe, for command lines are readable by all users.
    token_read, token_write = os.pipe()
    try:
        os.write(token_write, token.encode())
        os.close(token_write)
        options = ["--socket-fd", str(listening), "--token-fd", str(token_read)]
        return subprocess.Popen(  # noqa: S603 - arguments, no shell
            sandbox_command([*command, *options]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=sandbox_environment(), pass_fds=(listening, token_read), start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(token_read)


def _drain(stream: IO[bytes], into: deque[str]) -> None:
    for line in stream:
        into.append(line.decode(errors="replace").rstrip())
    stream.close()


def _ready_line(stream: IO[bytes], within_s: float) -> Mapping[str, Any]:
    """The node's first line. Raises TimeoutError, EOFError, or ValueError if it is not JSON."""
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

"""``ctl``: passes requests to the control socket of the probe in the same pod, and prints the answers.

A caller waits for its start. Hence ``_socket``, the core of ``socket``: the imports of ``socket`` take longer
than everything else here.
"""

from __future__ import annotations

import _socket
import sys
import time

START_S = 10.0
_LOOK_AGAIN_S = 0.02


def run(path: str, request: str | None) -> int:
    """Pass a request on and print the answering lines; exit status 1 when no probe answers at ``path``.

    Without ``request``, each line of standard input is a request, and an empty line ends each answer: so a
    single client process serves all requests to its pod.
    """
    if request is not None:
        return _pass_on(path, request)
    status = 0
    while line := sys.stdin.readline():
        status = _pass_on(path, line) or status
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()
    return status


def _pass_on(path: str, request: str) -> int:
    channel = None
    try:
        channel = _connect(path)
        channel.sendall(request.strip().encode() + b"\n")
        return _print(channel)
    except OSError as error:
        sys.stderr.write(f"no probe answers at {path}: {error}\n")
        return 1
    finally:
        if channel is not None:
            channel.close()


def _connect(path: str) -> _socket.socket:
    """Connect to the probe, which may still be starting: a container runs before its program listens."""
    deadline = time.monotonic() + START_S
    while True:
        channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            channel.connect(path)
            return channel
        except (FileNotFoundError, ConnectionRefusedError):
            channel.close()
            if time.monotonic() > deadline:
                raise
        # No event to wait for before the socket exists.
        time.sleep(_LOOK_AGAIN_S)


def _print(channel: _socket.socket) -> int:
    out = sys.stdout.buffer
    answered = False
    while data := channel.recv(1 << 16):
        out.write(data)
        out.flush()
        answered = True
    return 0 if answered else 1

"""The long-running program of a sample workload."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence

from .control_server import ControlServer
from .echo_server import EchoServer
from .http_server import HttpServer
from .ledger import Ledger
from .listen import accept, listen
from .responder import Identity, Responder
from .transport import Transport


def run(name: str, control: str, ports: Mapping[str, Sequence[int]]) -> int:
    """Serve until SIGTERM. ``ports`` holds the ports of http, tcp, udp and greeting; 0 picks a free port.

    Prints a line of JSON with the ports once it serves. Raises OSError when a port is unavailable.
    """
    # The kernel drops signals that the first process of a container does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_serve(Identity(name, socket.gethostname()), control, ports))
    return 0


async def _serve(identity: Identity, path: str, ports: Mapping[str, Sequence[int]]) -> None:
    ledger = Ledger()
    opened = open_ports(identity, ledger, ports)
    # The objects so far stay: collecting them again and again would show in the latencies.
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    server = await ControlServer(identity.name, identity.pod, ledger).listen(path)
    sys.stdout.write(json.dumps({"serving": identity.name, **opened}) + "\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


def open_ports(
    identity: Identity, ledger: Ledger, ports: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """Serve on these ports, on the running loop; returns them with 0 replaced by the port picked."""
    loop = asyncio.get_running_loop()
    opened: dict[str, list[int]] = {}
    for protocol, wanted in ports.items():
        for port in wanted:
            kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
            sockets = listen(port, kind)
            taken = sockets[0].getsockname()[1]
            opened.setdefault(protocol, []).append(taken)
            if protocol == "http":
                http = HttpServer(Responder(loop, identity, taken, ledger), upgrade_to_http2)
                for sock in sockets:
                    accept(loop, sock, http.accepted)
                continue
            echo = EchoServer(loop, identity, taken, ledger, greets=protocol == "greeting")
            for sock in sockets:
                if protocol == "udp":
                    echo.datagrams(sock)
                else:
                    accept(loop, sock, echo.accepted)
    return opened


def upgrade_to_http2(
    responder: Responder, transport: Transport, serial: int, remote: str, began: bytes
) -> None:
    """Serve HTTP/2 on a connection that began with its preface."""
    # A late import: it takes a tenth of a second, and most probes never need it.
    from .http2_server import Http2Connection

    Http2Connection(responder, transport, serial, remote).received(began)

"""`python -m conformance.clusters.embedded`: the embedded cluster, as its sandbox starts it.

It runs inside the sandbox's namespaces, and ends with them or on SIGTERM. The first line on its standard
output means that it is ready.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys

from conformance.clusters.embedded.control_plane import KubernetesControlPlane
from conformance.clusters.embedded.node.machine import Machine


async def serve(listening: socket.socket, token: str) -> None:
    """Serve until SIGTERM. Raises NodeError, OSError and the error of any controller."""
    machine = Machine()
    await machine.start()
    control_plane = KubernetesControlPlane(machine, token)
    await control_plane.start(listening)
    print(json.dumps({"address": machine.address, "pid": os.getpid()}), flush=True)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    failing = loop.create_task(control_plane.failed())
    waiting = loop.create_task(stopping.wait())
    try:
        await asyncio.wait({failing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            failing.result()
    finally:
        failing.cancel()
        waiting.cancel()
        await control_plane.close()
        await machine.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.clusters.embedded", description=__doc__)
    parser.add_argument("--socket-fd", type=int, required=True, help="a listening socket for HTTP")
    parser.add_argument("--token-fd", type=int, required=True, help="a pipe with the administrator's token")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with os.fdopen(options.token_fd) as token_file:
        token = token_file.read().strip()
    with socket.socket(fileno=options.socket_fd) as listening:
        asyncio.run(serve(listening, token))
    return 0


if __name__ == "__main__":
    sys.exit(main())

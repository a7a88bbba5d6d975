"""`python -m conformance.clusters.embedded`: the embedded cluster, as its sandbox starts it.

It is inside of the sandbox's namespaces already, and ends with them or when it is asked to by SIGTERM. The
first line on its standard output says that it is ready.
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

from conformance.clusters.embedded.assembly import EmbeddedCluster
from conformance.clusters.embedded.node.machine import Machine


async def serve(listening: socket.socket, token: str) -> None:
    """Serve until asked to stop. Raises NodeError, OSError and whatever a part fails with."""
    machine = Machine()
    await machine.start()
    cluster = EmbeddedCluster(machine, token)
    await cluster.start(listening)
    print(json.dumps({"address": machine.address, "pid": os.getpid()}), flush=True)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    failing = loop.create_task(cluster.failed())
    waiting = loop.create_task(stopping.wait())
    try:
        await asyncio.wait({failing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            failing.result()
    finally:
        failing.cancel()
        waiting.cancel()
        await cluster.close()
        await machine.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.clusters.embedded", description=__doc__)
    parser.add_argument("--socket-fd", type=int, required=True, help="a listening socket for HTTP")
    parser.add_argument("--token-fd", type=int, required=True, help="a pipe with the administrator's token")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with os.fdopen(options.token_fd) as told:
        token = told.read().strip()
    with socket.socket(fileno=options.socket_fd) as listening:
        asyncio.run(serve(listening, token))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Readiness probes, sent from the node, as by a kubelet."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from conformance.clusters.embedded.interface import NodeError, Object
from conformance.clusters.embedded.node.pausing import pause

# Seconds between probes until the first success, so that pods become ready early.
_STARTUP_PERIOD_S = 0.1

Execute = Callable[[Sequence[str]], Awaitable[int]]
"""Runs a command in the container; returns its exit code. Raises NodeError."""


async def readiness(
    probe: Mapping[str, Any],
    container: Object,
    address: str,
    execute: Execute,
    stopping: asyncio.Event,
) -> AsyncIterator[bool]:
    """Probe until the container is stopped; yields true when it becomes ready, false when it no longer is."""
    period_s = float(probe.get("periodSeconds") or 10)
    needed = {True: int(probe.get("successThreshold") or 1), False: int(probe.get("failureThreshold") or 3)}
    ready, ever, in_a_row = False, False, 0
    pause_s = float(probe.get("initialDelaySeconds") or 0)
    while not await pause(pause_s, stopping):
        if await succeeds(probe, container, address, execute) == ready:
            in_a_row = 0
        else:
            in_a_row += 1
        if in_a_row >= needed[not ready]:
            ready, in_a_row = not ready, 0
            ever = ever or ready
            yield ready
        pause_s = period_s if ever else min(period_s, _STARTUP_PERIOD_S)


async def succeeds(probe: Mapping[str, Any], container: Object, address: str, execute: Execute) -> bool:
    """Probe once."""
    try:
        async with asyncio.timeout(float(probe.get("timeoutSeconds") or 1)):
            match probe:
                case {"httpGet": wanted}:
                    status = await _get(wanted, address, _port(container, wanted["port"]))
                    return 200 <= status < 400
                case {"tcpSocket": wanted}:
                    return await _connects(address, _port(container, wanted["port"]))
                case {"exec": wanted}:
                    return await execute(wanted["command"]) == 0
    except (OSError, ValueError, EOFError, NodeError):
        # All of these mean failure: TimeoutError is an OSError, an invalid HTTP answer a ValueError.
        return False
    raise ValueError(f"the embedded cluster does not support this probe: {', '.join(probe)}")


def _port(container: Object, wanted: int | str) -> int:
    if isinstance(wanted, int):
        return wanted
    for port in container.get("ports") or ():
        if port.get("name") == wanted:
            return int(port["containerPort"])
    return int(wanted)


async def _connects(address: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()
    return True


async def _get(wanted: Mapping[str, Any], address: str, port: int) -> int:
    """The status of a GET. The server's certificate is not verified, as by a kubelet."""
    tls = None
    if wanted.get("scheme") == "HTTPS":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    host = str(wanted.get("host") or address)
    headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/embedded", "Connection": "close"}
    headers |= {str(each["name"]): str(each["value"]) for each in wanted.get("httpHeaders") or ()}
    head = [
        f"GET {wanted.get('path') or '/'} HTTP/1.1",
        *(f"{key}: {value}" for key, value in headers.items()),
    ]
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        writer.write("\r\n".join([*head, "", ""]).encode())
        version, _, rest = (await reader.readline()).partition(b" ")
        return int(rest[:3]) if version.startswith(b"HTTP/1.") else 0
    finally:
        writer.transport.abort()

"""Commands in containers over a websocket, in the protocols v4.channel.k8s.io and v5.channel.k8s.io.

Source: k8s.io/apimachinery/pkg/util/remotecommand: the first byte of each message is its channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import WSMsgType, web

from conformance.clusters.embedded.interface import Process

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR = range(4)
_CLOSE = 255
"""From v5 on: closes the channel of the next byte."""
_CHUNK = 64 * 1024


def is_websocket_upgrade(request: web.Request) -> bool:
    """Whether a request can be upgraded to a websocket."""
    return bool(web.WebSocketResponse(protocols=PROTOCOLS).can_prepare(request).ok)


async def connect(request: web.Request, process: Process) -> web.WebSocketResponse:
    """Connect a websocket with a process until the process ends or the client leaves."""
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0, compress=False)
    await socket.prepare(request)
    stdin = asyncio.ensure_future(_forward_stdin(socket, process))
    outputs = [
        asyncio.ensure_future(_forward_output(socket, stream, channel))
        for stream, channel in ((process.stdout, _STDOUT), (process.stderr, _STDERR))
    ]
    ending = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({stdin, ending}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            await asyncio.gather(*outputs)
            await socket.send_bytes(bytes([_ERROR]) + json.dumps(_status(ending.result())).encode())
    except ConnectionError:
        pass
    finally:
        if not ending.done():
            process.kill()
        stdin.cancel()
        await asyncio.gather(stdin, ending, *outputs, return_exceptions=True)
        await socket.close()
    return socket


async def _forward_stdin(socket: web.WebSocketResponse, process: Process) -> None:
    async for message in socket:
        # Some clients send text (UTF-8) with the channel as its first character.
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        if data[:1] == bytes([_STDIN]):
            # A process that has closed its stdin may still write output.
            with contextlib.suppress(ConnectionError):
                process.stdin.write(data[1:])
                await process.stdin.drain()
        elif data == bytes([_CLOSE, _STDIN]):
            process.stdin.close()


async def _forward_output(socket: web.WebSocketResponse, stream: asyncio.StreamReader, channel: int) -> None:
    while chunk := await stream.read(_CHUNK):
        await socket.send_bytes(bytes([channel]) + chunk)


def _status(code: int) -> dict[str, Any]:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with non-zero exit code: exit status {code}"
    return {"metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode",
            "details": {"causes": causes}}  # fmt: skip

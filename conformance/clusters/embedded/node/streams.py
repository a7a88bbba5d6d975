"""The pipes between the node and processes in containers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from conformance.clusters.embedded.interface import NodeError
from conformance.clusters.embedded.node.spawner_client import Child

_CHUNK = 65536
_MAX_LOG = 1024 * 1024


class Log:
    """The end of a container's output, at least half a megabyte."""

    def __init__(self) -> None:
        self._text = bytearray()

    def tail(self, lines: int | None) -> str:
        """The last lines, or all that is kept."""
        text = self._text.decode(errors="replace")
        if lines is None:
            return text
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""

    def note(self, line: str) -> None:
        """Add a line from the node."""
        self._text += f"{line}\n".encode()

    @contextmanager
    def writing(self) -> Iterator[int]:
        """A descriptor for a process to write to; its output is kept, after the block's end too."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        asyncio.get_running_loop().add_reader(read, self._take, read)
        try:
            yield write
        finally:
            os.close(write)

    def _take(self, read: int) -> None:
        piece = os.read(read, _CHUNK)
        if not piece:
            asyncio.get_running_loop().remove_reader(read)
            os.close(read)
            return
        self._text += piece
        if len(self._text) > _MAX_LOG:
            del self._text[: -_MAX_LOG // 2]


@dataclass(slots=True)
class ExecProcess:
    """A started command in a container, with the node's ends of its three streams."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    child: Child

    async def wait(self) -> int:
        """The exit status, once it has ended."""
        # Shielded: a cancelled waiter must not cancel the other waiters.
        return await asyncio.shield(self.child.exit)

    def kill(self) -> None:
        """Kill it."""
        self.child.kill()


@dataclass(frozen=True, slots=True)
class Pipes:
    """Three pipes: this end as streams, the other end as descriptors to pass on."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    remote_ends: tuple[int, int, int]

    def close(self) -> None:
        """Close this end, if the other end has no process."""
        self.stdin.transport.abort()


async def open_pipes() -> Pipes:
    """Pipes for a command. Raises NodeError."""
    try:
        input_end, stdin = os.pipe()
        stdout, output_end = os.pipe()
        stderr, error_end = os.pipe()
        return Pipes(
            await _writer(stdin),
            await _reader(stdout),
            await _reader(stderr),
            (input_end, output_end, error_end),
        )
    except OSError as error:
        raise NodeError(f"cannot make a pipe: {error.strerror}") from error


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", 0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


async def _writer(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "wb", 0)
    # Nothing is read, but a StreamWriter needs a protocol that reports the closing of the pipe.
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), pipe
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)

"""The pipes between the node and what runs in containers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from conformance.clusters.embedded.interface import NodeError
from conformance.clusters.embedded.node.spawner_client import Child

_PIECE = 65536
_LIMIT = 1024 * 1024


class Log:
    """The last that a container wrote, about half a megabyte at least."""

    def __init__(self) -> None:
        self._text = bytearray()

    def tail(self, lines: int | None) -> str:
        """The last so many lines, or all that is kept."""
        text = self._text.decode(errors="replace")
        if lines is None:
            return text
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""

    def note(self, line: str) -> None:
        """Add a line of the node's own."""
        self._text += f"{line}\n".encode()

    @contextmanager
    def writing(self) -> Iterator[int]:
        """A descriptor for a process to write to; what arrives is kept, also after the block's end."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        asyncio.get_running_loop().add_reader(read, self._take, read)
        try:
            yield write
        finally:
            os.close(write)

    def _take(self, read: int) -> None:
        piece = os.read(read, _PIECE)
        if not piece:
            asyncio.get_running_loop().remove_reader(read)
            os.close(read)
            return
        self._text += piece
        if len(self._text) > _LIMIT:
            del self._text[: -_LIMIT // 2]


@dataclass(slots=True)
class Executed:
    """A command that was started in a container, with the ends of its three streams."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    child: Child

    async def wait(self) -> int:
        """The exit status, once it has ended."""
        # Shielded: one who waits no longer does not keep others from it.
        return await asyncio.shield(self.child.exit)

    def kill(self) -> None:
        """End it by force."""
        self.child.kill()


@dataclass(frozen=True, slots=True)
class Pipes:
    """Three pipes: this side as streams, the other side as descriptors to hand on."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    theirs: tuple[int, int, int]

    def close(self) -> None:
        """Close this side, where there is no other."""
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
    # Nothing is ever read, but writers want a protocol that tells them when the pipe is closed.
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), pipe
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)

"""A connected socket on the event loop.

Not an asyncio transport: creating that costs several tasks and futures, most of the work for traffic on new
connections; and this class needs no separate step to connect, since a write waits for the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

READ_SIZE = 1 << 16
UNSENT_LIMIT = 1 << 20
"""Unsent bytes beyond which nothing more is read from the peer."""
LINGER_S = 2.0


class Transport:
    """Calls ``received`` with incoming bytes, and ``lost`` once if the peer ends the connection.

    ``lost`` gets the error, or None for an orderly end; it is not called after ``close``.
    """

    __slots__ = (
        *("_finishing", "_held", "_loop", "_lost", "_reading"),
        *("_received", "_socket", "_unsent", "_write_error", "closed"),
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connected: socket.socket,
        received: Callable[[bytes], None],
        lost: Callable[[OSError | None], None],
    ) -> None:
        self._loop = loop
        self._socket = connected
        self._received = received
        self._lost = lost
        self._unsent = b""
        self._write_error: OSError | None = None
        self._held = False
        self._finishing = False
        self._reading = True
        self.closed = False
        loop.add_reader(connected, self._readable)

    def write(self, data: bytes) -> None:
        """Send, now or as soon as the connection is established and the peer accepts more data."""
        if self.closed or self._write_error:
            return
        if self._unsent:
            self._unsent += data
            self._update()
            return
        self._unsent = self._send(data)
        if self._unsent:
            self._loop.add_writer(self._socket, self._writable)
            self._update()

    def set_callbacks(
        self, received: Callable[[bytes], None], lost: Callable[[OSError | None], None]
    ) -> None:
        """Replace the callbacks."""
        self._received = received
        self._lost = lost

    def hold(self, held: bool) -> None:
        """Pause or resume reading: incoming data waits in the kernel meanwhile."""
        self._held = held
        self._update()

    @property
    def idle(self) -> bool:
        """Whether all data has been passed to the kernel."""
        return not self._unsent

    def finish(self) -> None:
        """Send the rest, then end the connection.

        A peer that is still sending would lose our last bytes to a reset if we closed at once; so it gets two
        seconds to end the connection from its side.
        """
        self._finishing = True
        self._loop.call_later(LINGER_S, self.close)
        if not self._unsent:
            self._shut()

    def close(self) -> None:
        """End the connection now."""
        if not self.closed:
            self.closed = True
            if self._reading:
                self._loop.remove_reader(self._socket)
            if self._unsent:
                self._loop.remove_writer(self._socket)
            self._socket.close()

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _send(self, data: bytes) -> bytes:
        try:
            return data[self._socket.send(data) :]
        except (BlockingIOError, InterruptedError):
            return data
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return data
            # Data that the peer sent before it left may still be unread; reading then finds the end.
            self._write_error = error
            return b""

    def _writable(self) -> None:
        self._unsent = self._send(self._unsent)
        if not self._unsent:
            self._loop.remove_writer(self._socket)
            if self._finishing:
                self._shut()
        self._update()

    def _update(self) -> None:
        wanted = not self.closed and not self._held and len(self._unsent) < UNSENT_LIMIT
        if wanted != self._reading and not self.closed:
            self._reading = wanted
            if wanted:
                self._loop.add_reader(self._socket, self._readable)
            else:
                self._loop.remove_reader(self._socket)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(self._write_error or error)
            return
        if data:
            if not self._finishing:
                self._received(data)
        else:
            self._end(self._write_error)

    def _end(self, error: OSError | None) -> None:
        self.close()
        self._lost(error)

"""Interruptible pauses: before the next probe, the next start, the next token."""

from __future__ import annotations

import asyncio


async def pause(seconds: float, stopping: asyncio.Event) -> bool:
    """Wait for the time or the event, whichever is first; returns whether the event is set."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True

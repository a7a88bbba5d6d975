"""Waiting that ends early: for the next probe, the next start, the next token."""

from __future__ import annotations

import asyncio


async def pause(seconds: float, stopping: asyncio.Event) -> bool:
    """Wait so long, but no longer than until the event is set; whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True

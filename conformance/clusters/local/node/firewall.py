"""Writes rules of iptables into the network namespace of this process: the newest that are wanted."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile

from conformance.clusters.local.seam import NodeError

_LOG = logging.getLogger(__name__)
# The kernel may offer one back end, the other, or both.
_TOOLS = ("iptables-nft-restore", "iptables-legacy-restore", "iptables-restore")


class Firewall:
    """The rules in force, and those that are to be."""

    def __init__(self) -> None:
        self._wanted = self._written = ""
        self._tool = ""
        self._work: asyncio.Task[None] | None = None

    async def open(self, rules: str) -> None:
        """Write the first rules, with the first tool that can. Raises NodeError."""
        problems = []
        for tool in _TOOLS:
            problem = await _write(tool, rules)
            if not problem:
                self._tool, self._wanted, self._written = tool, rules, rules
                return
            problems.append(f"{tool}: {problem}")
        raise NodeError(f"cannot write rules: {'; '.join(problems)}")

    def want(self, rules: str) -> None:
        """Let these rules be in force soon."""
        self._wanted = rules
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._work is not None:
            await self._work

    async def settled(self) -> None:
        """Wait until the rules that are wanted now are in force."""
        while self._work is not None and not self._work.done():
            await self._work

    async def _follow(self) -> None:
        while self._wanted != self._written:
            rules = self._wanted
            if problem := await _write(self._tool, rules):
                _LOG.error("rules for services are not in force: %s", problem)
            self._written = rules


async def _write(tool: str, rules: str) -> str:
    """What went wrong, if anything."""
    environment = {**os.environ, "XTABLES_LOCKFILE": os.path.join(tempfile.gettempdir(), "xtables.lock")}
    try:
        process = await asyncio.create_subprocess_exec(
            tool,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        return str(error.strerror)
    _, said = await process.communicate(rules.encode())
    return "" if process.returncode == 0 else said.decode(errors="replace").strip() or "it failed"

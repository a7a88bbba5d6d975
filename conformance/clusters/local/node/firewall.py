"""Writes rules of iptables into the network namespace of this process."""

from __future__ import annotations

import asyncio
import os
import tempfile

from conformance.clusters.local.seam import NodeError

# The kernel may offer one back end, the other, or both.
_TOOLS = ("iptables-nft-restore", "iptables-legacy-restore", "iptables-restore")


class Firewall:
    """The rules in force."""

    def __init__(self) -> None:
        self._written = ""
        self._tool = ""

    async def open(self, rules: str) -> None:
        """Write the first rules, with the first tool that can. Raises NodeError."""
        problems = []
        for tool in _TOOLS:
            problem = await _write(tool, rules)
            if not problem:
                self._tool, self._written = tool, rules
                return
            problems.append(f"{tool}: {problem}")
        raise NodeError(f"cannot write rules: {'; '.join(problems)}")

    async def put(self, rules: str) -> None:
        """Let these rules be in force. Raises NodeError."""
        if rules == self._written:
            return
        if problem := await _write(self._tool, rules):
            raise NodeError(f"cannot write rules: {problem}")
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

"""Processor time of a run, by the part of the system that spends it."""

from __future__ import annotations

import os
import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

PARTS: Mapping[str, re.Pattern[str]] = {
    part: re.compile(pattern)
    for part, pattern in {
        "Envoy": r"^\S*\benvoy( |$)",
        "probes": r"/probe\.pyz( |$)",
        "agents": r" smi_reference_mesh\.sidecar( |$)",
        "control plane": r" smi_reference_mesh\.control_plane( |$)",
        "cluster": r" conformance\.clusters\.embedded( |$)"
        r"|^\S*\b(etcd|kubelet|kube-\w+|containerd\S*|dockerd|docker-proxy|runc|coredns|kindnetd)( |$)",
        "suite": r"/smi-conformance( |$)",
    }.items()
}
"""Part → the pattern of the first words of its processes' command lines."""
OTHERS = "others"

_WORDS = 4
_EVERY_S = 0.2
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class ProcessorTime:
    """Counts, while it is open, the processor seconds of all processes on this machine by part.

    What a process spends after its last sample is lost: ``every_s`` seconds at most for each process.
    """

    def __init__(self, every_s: float = _EVERY_S) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._every_s = every_s
        self._known: dict[tuple[int, str], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_over, daemon=True)

    def __enter__(self) -> Self:
        self._known.update(_processes())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample_until_over(self) -> None:
        while not self._over.wait(self._every_s):
            self._sample()
        self._sample()

    def _sample(self) -> None:
        for process, spent in _processes():
            gained = spent - self._known.get(process, 0.0)
            self._known[process] = spent
            if gained:
                self.seconds[part_of(_command_line(process[0]))] += gained


def part_of(command: str) -> str:
    """The part to which a process with this command line (words that end with NUL) belongs."""
    words = " ".join(command.split("\0")[:_WORDS])
    return next((part for part, pattern in PARTS.items() if pattern.search(words)), OTHERS)


def _command_line(process: int) -> str:
    """Empty if the process has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _processes() -> Iterator[tuple[tuple[int, str], float]]:
    """Each process, by its id and the time of its start, with the processor seconds that it has spent."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may contain any character.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        # utime, stime and starttime of proc(5): fields 14, 15 and 22, of which the first two are cut off.
        yield (int(stat.parent.name), fields[19]), (int(fields[11]) + int(fields[12])) * _TICK_S

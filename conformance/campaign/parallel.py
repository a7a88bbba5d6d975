"""A campaign in several embedded clusters at once, each in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol

from conformance.campaign import campaign
from conformance.campaign.campaign import Result
from conformance.campaign.cases import Campaign, Case, affected_tests, parts_of
from conformance.clusters import ClusterError
from conformance.clusters.embedded import cluster as embedded
from conformance.drive.arena import OUTSIDE

# Under a fault much is waited for that never comes: a cluster keeps a processor busy for half of the time.
# With two for each, the control request was answered late now and then.
_JOBS_OF_A_PROCESSOR = 1.5
_MIB_OF_A_CLUSTER = 1536
_MEMORY = Path("/proc/meminfo")
_PARTS = ("main", "metrics", "peer", "access", "udp")
"""The parts of the arena that are in the mesh, in the order in which cases need them."""
_ENDS_WITHIN_S = 10.0
"""How long a process may take to end by itself, with its cluster."""


class _Counter(Protocol):
    """How many cases were taken, common to all processes."""

    value: int

    def get_lock(self) -> contextlib.AbstractContextManager[object]: ...


def jobs() -> int:
    """How many clusters keep this machine's processors busy, starve none, and fit into its memory."""
    busy = int(_JOBS_OF_A_PROCESSOR * len(os.sched_getaffinity(0)))
    return max(1, min(busy, _available_mib() // _MIB_OF_A_CLUSTER))


def _available_mib() -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMORY.read_text(), re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def in_turn(asked: Campaign) -> Campaign:
    """The same campaign, its cases in the order in which they take least time.

    Those that share an arena follow each other. An arena has the parts that its cases need: those come first
    that the first parts will do for, and those last that need none of these any more. In between it is what
    has most to judge, or all would wait for it in the end; and cases of the same scenarios follow each other,
    so that the services of these stay.
    """

    arenas = [asked.arena_of(case) for case in asked.chosen]

    def key(case: Case) -> tuple[int, int, int, int, int, list[str]]:
        entries = affected_tests(case, asked.also)
        parts = [_PARTS.index(part) for part in parts_of(case, asked.also) if part != OUTSIDE] or [0]
        arena = asked.arena_of(case)
        # The arena that most share comes last: it levels out how long the others took.
        alike = arenas.count(arena), arenas.index(arena)
        return (*alike, max(parts), min(parts), -len(entries), sorted({entry.file for entry in entries}))

    return replace(asked, chosen=sorted(asked.chosen, key=key))


def run(asked: Campaign, jobs: int) -> Iterator[Result]:
    """What becomes of each case, as it ends, in no particular order.

    Cases wait more than they work, so several clusters take little more than the machine has. Each takes
    the next when it is done with one. Raises ClusterError when one of the clusters fails.
    """
    asked = in_turn(asked)
    context = multiprocessing.get_context("spawn")
    taken: _Counter = context.Value("i", 0)
    workers: dict[Connection, SpawnProcess] = {}
    try:
        for _ in range(min(jobs, len(asked.chosen))):
            ours, theirs = context.Pipe(duplex=False)
            workers[ours] = context.Process(target=_work, args=(asked, taken, theirs), daemon=True)
            workers[ours].start()
            # The process alone has it now: its end is the end of the pipe.
            theirs.close()
        yield from _received(list(workers))
    finally:
        for connection, worker in workers.items():
            connection.close()
            worker.join(_ENDS_WITHIN_S)
            worker.kill()
            worker.join()


def _received(connections: list[Connection]) -> Iterator[Result]:
    while connections:
        readable = wait(connections)
        for ready in [one for one in connections if one in readable]:
            try:
                said: Result | str | None = ready.recv()
            except EOFError:
                raise ClusterError("a process of the campaign ended by itself") from None
            if isinstance(said, str):
                raise ClusterError(said)
            if said is None:
                connections.remove(ready)
            else:
                yield said


def _work(asked: Campaign, taken: _Counter, tell: Connection) -> None:
    """Judge cases in a cluster of its own; a text that is told is an error, None the end."""
    # Imported late, as what it needs is an extra that need not be installed.
    from conformance.clusters.embedded.node import kernel

    kernel.die_with_parent()
    # Whoever asked may have ended, or been interrupted together with this process.
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError), tell:
        try:
            with closing(embedded.start(asked.profile.name)) as cluster:
                for outcome in campaign.run(cluster, asked, _turns(asked, taken)):
                    tell.send(outcome)
        except ClusterError as error:
            tell.send(str(error))
            return
        tell.send(None)


def _turns(asked: Campaign, taken: _Counter) -> Iterator[Case]:
    while True:
        with taken.get_lock():
            position = taken.value
            taken.value += 1
        if position >= len(asked.chosen):
            return
        yield asked.chosen[position]

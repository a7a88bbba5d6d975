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

# Under a fault many waits run to their deadline, so a cluster keeps a processor busy for half of the time.
# With two clusters per processor, control requests were answered late now and then.
_JOBS_OF_A_PROCESSOR = 1.5
_MIB_OF_A_CLUSTER = 1536
_MEMORY = Path("/proc/meminfo")
_PARTS = ("main", "metrics", "peer", "access", "udp")
"""The parts of the arena inside the mesh, in the order in which cases need them."""
_ENDS_WITHIN_S = 10.0
"""The seconds in which a process must end by itself, with its cluster."""


class _Counter(Protocol):
    """The number of cases that were taken, shared by all processes."""

    value: int

    def get_lock(self) -> contextlib.AbstractContextManager[object]: ...


def jobs() -> int:
    """The number of clusters that keep this machine's processors busy, without starvation, in its memory."""
    busy = int(_JOBS_OF_A_PROCESSOR * len(os.sched_getaffinity(0)))
    return max(1, min(busy, _available_mib() // _MIB_OF_A_CLUSTER))


def _available_mib() -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMORY.read_text(), re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def in_turn(requested: Campaign) -> Campaign:
    """The same campaign with its cases in the fastest order.

    Cases that share an arena follow each other, ordered by the parts that they need, so that parts can be
    deleted when no later case needs them. Among these the cases with most tests come first, since all other
    processes would wait for them at the end. Cases of the same scenarios follow each other, so that their
    Services stay.
    """

    arenas = [requested.arena_key(case) for case in requested.chosen]

    def key(case: Case) -> tuple[int, int, int, int, int, list[str]]:
        entries = affected_tests(case, requested.also)
        parts = [_PARTS.index(part) for part in parts_of(case, requested.also) if part != OUTSIDE] or [0]
        arena = requested.arena_key(case)
        # The arena with most cases comes last: its cases even out the times of the processes.
        alike = arenas.count(arena), arenas.index(arena)
        return (*alike, max(parts), min(parts), -len(entries), sorted({entry.file for entry in entries}))

    return replace(requested, chosen=sorted(requested.chosen, key=key))


def run(requested: Campaign, jobs: int) -> Iterator[Result]:
    """The results of the cases, each as it ends, in no particular order.

    Cases wait more than they work, so a machine can run several clusters. Each cluster takes the next case
    when its case ends. Raises ClusterError if one of the clusters fails.
    """
    requested = in_turn(requested)
    context = multiprocessing.get_context("spawn")
    taken: _Counter = context.Value("i", 0)
    workers: dict[Connection, SpawnProcess] = {}
    try:
        for _ in range(min(jobs, len(requested.chosen))):
            ours, theirs = context.Pipe(duplex=False)
            workers[ours] = context.Process(target=_work, args=(requested, taken, theirs), daemon=True)
            workers[ours].start()
            # Only the process has this end now: its exit closes the pipe.
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
                message: Result | str | None = ready.recv()
            except EOFError:
                raise ClusterError("a process of the campaign ended unexpectedly") from None
            if isinstance(message, str):
                raise ClusterError(message)
            if message is None:
                connections.remove(ready)
            else:
                yield message


def _work(requested: Campaign, taken: _Counter, results: Connection) -> None:
    """Judge cases in an embedded cluster of the process; sends results, then None, or an error as text."""
    # Imported late, as it needs an extra that may not be installed.
    from conformance.clusters.embedded.node import kernel

    kernel.die_with_parent()
    # The parent process may have ended, or been interrupted together with this process.
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError), results:
        try:
            with closing(embedded.start(requested.profile.name)) as cluster:
                for outcome in campaign.run(cluster, requested, _turns(requested, taken)):
                    results.send(outcome)
        except ClusterError as error:
            results.send(str(error))
            return
        results.send(None)


def _turns(requested: Campaign, taken: _Counter) -> Iterator[Case]:
    while True:
        with taken.get_lock():
            position = taken.value
            taken.value += 1
        if position >= len(requested.chosen):
            return
        yield requested.chosen[position]

"""The fault campaign in several embedded clusters at once, each in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from conformance import campaign
from conformance.campaign import Campaign
from conformance.clusters import ClusterError, embedded
from conformance.outcomes import Outcome
from reference.faults import Fault

_ENDS_WITHIN_S = 10.0
"""How long a process may take to end by itself, with its cluster."""


class _Counter(Protocol):
    """How many faults were taken, common to all processes."""

    value: int

    def get_lock(self) -> contextlib.AbstractContextManager[object]: ...


def jobs() -> int:
    """How many clusters keep this machine's processors busy without starving each other."""
    return len(os.sched_getaffinity(0))


def run(asked: Campaign, jobs: int) -> Iterator[Outcome]:
    """What becomes of each fault, as it ends, in no particular order.

    Faults wait more than they work, so several clusters take little more than the machine has. Each takes
    the next fault when it is done with one. Raises ClusterError when one of the clusters fails.
    """
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
        yield from _told(list(workers))
    finally:
        for connection, worker in workers.items():
            connection.close()
            worker.join(_ENDS_WITHIN_S)
            worker.kill()
            worker.join()


def _told(connections: list[Connection]) -> Iterator[Outcome]:
    while connections:
        readable = wait(connections)
        for ready in [one for one in connections if one in readable]:
            try:
                said: Outcome | str | None = ready.recv()
            except EOFError:
                raise ClusterError("a process of the campaign ended by itself") from None
            if isinstance(said, str):
                raise ClusterError(said)
            if said is None:
                connections.remove(ready)
            else:
                yield said


def _work(asked: Campaign, taken: _Counter, tell: Connection) -> None:
    """Judge faults in a cluster of its own; a text that is told is an error, None the end."""
    # Imported late, as what it needs is an extra that need not be installed.
    from conformance.clusters.local.node import kernel

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


def _turns(asked: Campaign, taken: _Counter) -> Iterator[Fault]:
    while True:
        with taken.get_lock():
            position = taken.value
            taken.value += 1
        if position >= len(asked.chosen):
            return
        yield asked.chosen[position]

"""Drives traffic: sends plans to the probes in client pods, and reads the ledgers of servers."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self

from conformance.clusters import Cluster, ClusterError, ExecFailed
from conformance.drive.arena import CONTAINER, Arena
from conformance.drive.observations import (
    BatchResult,
    LedgerView,
    answer_windows,
    arrival,
    looks,
    parse_results,
    servers_of,
    to_traffic,
)
from conformance.drive.timing import Phases
from conformance.judge.share_test import ShareTest
from conformance.judge.statistics import Region
from conformance.model.evidence import Call, Environment, Traffic

CTL = ("python3", "-I", "-S", "/probe/probe.pyz", "ctl", "--control", "/run/probe/control.sock")
REQUEST_TIMEOUT_S = 2.0
PATIENT_S = 10.0
"""The timeout of each of a few hundred requests of which only the answered ones count. In a large sample
unanswered requests with this timeout would outlast the plan's deadline, and the sample would be lost."""
DATAGRAM_TIMEOUT_S = 1.0
"""A lost datagram is not retransmitted, unlike a TCP segment after a second (RFC 6298, section 2): no answer
is late for that reason. Twice the latency that shows a starved machine (`judge.environment`)."""
CONCURRENCY = 32
CONTROL_PER_S = 20.0
STEADY_REQUESTS = 180_000
"""The maximum number of requests of background traffic; the probe cuts plans short at a higher limit."""
_EXEC_MARGIN_S = 30.0
_CONTROL = "control"


@dataclass(frozen=True, slots=True)
class SendOptions:
    """The way in which a batch is sent.

    ``new_connections``: a new connection for each request; otherwise connections are reused, for
    ``per_connection`` requests each if given. ``one_connection``: one connection for all requests, concurrent
    over HTTP/2, sequential otherwise. ``duration_s`` spreads the requests evenly over that time.
    ``timeout_s`` is the timeout of each request, except for datagrams: a denial may be silence.
    ``share_test`` ends a batch as soon as it has judged its shares, before the call's number of requests.
    """

    new_connections: bool = False
    per_connection: int | None = None
    duration_s: float | None = None
    concurrency: int = CONCURRENCY
    one_connection: bool = False
    timeout_s: float = REQUEST_TIMEOUT_S
    share_test: ShareTest | None = None

    @property
    def connections(self) -> str:
        """The connection mode in a probe's plan."""
        return "one" if self.one_connection else "fresh" if self.new_connections else "reuse"


@dataclass(slots=True)
class Driver:
    """Sends calls from client pods and returns their results as evidence."""

    cluster: Cluster
    arena: Arena
    phases: Phases
    environment: Environment = field(default_factory=Environment)
    _instances: dict[str, str] = field(default_factory=dict)
    _batches: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def send(
        self, calls: Sequence[Call], options: SendOptions = SendOptions(), *, ledgers: Iterable[str] = ()
    ) -> list[Traffic]:
        """Send the calls, all at the same moment, and then read the ledgers of the given workloads.

        Raises ExecFailed if a plan was not completed.
        """
        with self.phases.phase("traffic"):
            names = {f"{self.arena.scope.run}-{next(self._batches)}": call for call in calls}
            by_client: dict[str, dict[str, Call]] = defaultdict(dict)
            for name, call in names.items():
                by_client[call.client][name] = call
            with ThreadPoolExecutor(max_workers=max(len(by_client), 1)) as pool:
                sent = [
                    pool.submit(self._drive, client, batches, options)
                    for client, batches in by_client.items()
                ]
                results: dict[str, BatchResult] = {}
                for one in sent:
                    result = one.result()
                    self._record_environment(result.pop(_CONTROL).rows)
                    results.update(result)
            remembered = self._ledgers(ledgers, list(names))
        return [
            replace(
                to_traffic(call, results[name], remembered[name], new_connections=options.new_connections),
                looks=looks(results[name].rows) if options.share_test else (),
            )
            for name, call in names.items()
        ]

    def _drive(
        self, client: str, batches: Mapping[str, Call], options: SendOptions
    ) -> dict[str, BatchResult]:
        plan = {
            "parallel": True,
            "deadline_s": 60,
            "batches": [
                *[_batch(name, call, options) for name, call in batches.items()],
                self._control(client),
            ],
        }
        lines = self._ctl(client, {"op": "run", "plan": plan}, timeout_s=60 + _EXEC_MARGIN_S)
        return parse_results(client, lines)

    def _control(self, client: str) -> dict[str, Any]:
        """Requests of a probe to itself, without the mesh, for as long as the plan's other batches last."""
        batch = _batch(_CONTROL, Call(client, "127.0.0.1", 8080, 1), SendOptions(concurrency=1))
        return {**batch, "rate_per_s": CONTROL_PER_S, "until": "others"}

    def _record_environment(self, control: Sequence[Sequence[Any]]) -> None:
        slowest = max((one[5] for one in control), default=0)
        failures = sum(1 for one in control if one[6] is not None)
        before = self.environment
        self.environment = Environment(
            max(before.control_p99_us, slowest), before.control_failures + failures
        )

    def _ctl(self, address: str, request: Mapping[str, Any], *, timeout_s: float = 30.0) -> list[Any]:
        pod = self.arena.pod(address)
        text = self.cluster.exec_line(
            pod.namespace, pod.name, CONTAINER, CTL, json.dumps(request, separators=(",", ":")), timeout_s
        )
        try:
            lines = [json.loads(line) for line in text.splitlines() if line]
        except json.JSONDecodeError as error:
            raise ExecFailed(f"the probe of {address} answered something other than JSON: {error}") from error
        if not lines or not all(isinstance(line, dict) for line in lines):
            raise ExecFailed(f"the probe of {address} answered {text[:100]!r}")
        if "error" in lines[-1]:
            raise ExecFailed(f"the probe of {address} refused: {lines[-1]['error']}")
        return lines

    def _ledgers(self, servers: Iterable[str], batches: list[str]) -> dict[str, LedgerView]:
        remembered = {name: LedgerView({}, {}) for name in batches}
        addresses = list(dict.fromkeys(servers))
        if not addresses:
            return remembered
        request = {"op": "ledger", "batches": batches, "entries": 1}
        with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
            answers = list(pool.map(lambda address: self._ctl(address, request), addresses))
        for address, lines in zip(addresses, answers, strict=True):
            self._check_ledger(address, lines[-1])
            for name, entry in lines[-1]["batches"].items():
                workload = self.arena.pod(address).workload
                # Zero is kept: the ledger was read and has no request of the batch.
                remembered[name].received[workload] = entry["count"]
                if entry["entries"]:
                    remembered[name].arrivals[workload] = arrival(entry["entries"][0])
        return remembered

    def _check_ledger(self, address: str, ledger: Mapping[str, Any]) -> None:
        """Raises ExecFailed if requests may be missing: a lost ledger must not count as no requests."""
        # By pod: a workload that a scenario recreated has a new probe, not a restarted one.
        found = self.arena.pod(address)
        pod = f"{found.namespace}/{found.name}"
        before = self._instances.setdefault(pod, ledger["instance"])
        self._instances[pod] = ledger["instance"]
        if ledger["instance"] != before:
            raise ExecFailed(f"the probe of {address} restarted and lost its ledger")
        if ledger["dropped"]:
            raise ExecFailed(f"the ledger of {address} is full")

    def start(
        self,
        call: Call,
        options: SendOptions = SendOptions(),
        *,
        rate_per_s: float,
        duration_s: float,
    ) -> BackgroundTraffic:
        """Start background traffic, which runs until it is stopped, or for ``duration_s`` seconds.

        The rate is lower than ``rate_per_s`` if that would exceed STEADY_REQUESTS.
        """
        name = f"{self.arena.scope.run}-{next(self._batches)}"
        rate = min(rate_per_s, STEADY_REQUESTS / duration_s)
        steady = {**_batch(name, call, options), "rate_per_s": rate, "duration_s": duration_s}
        plan = {"parallel": True, "batches": [steady, self._control(call.client)]}
        (answer,) = self._ctl(call.client, {"op": "start", "plan": plan})
        return BackgroundTraffic(self, call, options, name, answer["handle"], rate, duration_s)


@dataclass(frozen=True, slots=True)
class BackgroundTraffic:
    """Running background traffic of ``rate_per_s`` requests per second, for at most ``duration_s`` seconds.

    As a context manager it stops after an exception, so that it does not disturb later scenarios.
    """

    driver: Driver
    call: Call
    options: SendOptions
    name: str
    handle: str
    rate_per_s: float
    duration_s: float

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, Exception):
            # A failure to stop, or an earlier stop, must not hide the exception.
            with suppress(ClusterError):
                self._stop()

    def received(self, server: str) -> int:
        """The number of its requests that a workload has received so far."""
        return sum(self.counts([server]).values())

    def counts(self, servers: Iterable[str]) -> dict[str, int]:
        """Workload name → the number of its requests that the workload has received so far."""
        return self.driver._ledgers(servers, [self.name])[self.name].received

    def stop(self, *, ledgers: Iterable[str] = ()) -> Traffic:
        """Stop the traffic and return the results of all its requests."""
        lines = self._stop()
        result = self._parse(lines)
        remembered = self.driver._ledgers(ledgers, [self.name])
        new = self.options.new_connections
        whole = to_traffic(self.call, result, remembered[self.name], new_connections=new)
        expired = lines[-1]["batches"][self.name]["took_s"] >= self.duration_s
        return replace(whole, windows=answer_windows(result.rows), expired=expired)

    def stop_with_order(self) -> tuple[tuple[tuple[str, int], ...], int]:
        """Stop the traffic; returns the responders in the order of the requests, and the unanswered requests.

        The responders are run-length encoded: workload and number of answers in a row.
        """
        rows = self._parse(self._stop()).rows
        servers = servers_of(rows)
        runs = tuple((server, len(list(same))) for server, same in itertools.groupby(servers))
        return runs, len(rows) - len(servers)

    def _stop(self) -> list[Any]:
        """Stop the traffic; returns the lines of the probe."""
        return self.driver._ctl(self.call.client, {"op": "stop", "handle": self.handle})

    def _parse(self, lines: Iterable[Any]) -> BatchResult:
        """The results of the traffic, in the order of the requests."""
        results = parse_results(self.call.client, lines)
        self.driver._record_environment(results[_CONTROL].rows)
        mine = results[self.name]
        return replace(mine, rows=sorted(mine.rows, key=lambda row: int(row[0])))


def _batch(name: str, call: Call, options: SendOptions) -> dict[str, Any]:
    return {
        "id": name,
        "protocol": call.protocol,
        "host": call.host,
        "port": call.port,
        "requests": call.requests,
        "method": "POST" if call.protocol == "grpc" else call.method,
        "path": call.path,
        "headers": dict(call.headers),
        "connections": options.connections,
        "per_connection": options.per_connection,
        "duration_s": options.duration_s,
        "concurrency": min(options.concurrency, call.requests),
        "timeout_s": DATAGRAM_TIMEOUT_S if call.protocol == "udp" else options.timeout_s,
        "looks": _looks(options.share_test) if options.share_test else [],
    }


def _looks(test: ShareTest) -> list[list[Any]]:
    """The looks of a test as a plan has them."""
    plans = []
    for n in test.looks():
        accepted, tolerated = test.accepted_at(n), test.tolerated_at(n)
        bounds = []
        for backend in test.weights:
            inner, outer = accepted.get(backend, Region(n, n + 1, n)), tolerated[backend]
            bounds.append([test.workloads(backend), inner.low, inner.high, outer.low, outer.high])
        plans.append([n, bounds])
    return plans

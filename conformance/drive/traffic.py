"""Drives traffic: carries plans to the probes in client pods, and reads what servers remember of it."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self

from conformance.clusters import Cluster, ClusterError, ExecFailed
from conformance.drive.arena import CONTAINER, Arena
from conformance.drive.timing import Phases
from conformance.model.evidence import Call, Environment, Traffic
from conformance.text.sanitize import printable

CTL = ("python3", "-I", "-S", "/probe/probe.pyz", "ctl", "--control", "/run/probe/control.sock")
REQUEST_TIMEOUT_S = 2.0
PATIENT_S = 10.0
"""How long each of a few hundred requests may take of which only the answered say anything. In a large sample
those that are never answered would outlast their plan, and nothing could be said of any."""
DATAGRAM_TIMEOUT_S = 1.0
"""A lost datagram is not sent again, as a lost segment is after a second (RFC 6298, section 2): nothing comes
late for that. It is twice what shows a machine to be starved (`judge.environment`)."""
CONCURRENCY = 32
CONTROL_PER_S = 20.0
WINDOW_REQUESTS = 60
"""Requests in a row that are counted by themselves: of steady traffic, a fifth of a second."""
STEADY_REQUESTS = 180_000
"""Requests of steady traffic, at most: a plan that comes to the most that the probe takes is cut short."""
_EXEC_MARGIN_S = 30.0
_CONTROL = "control"
_LONGEST_SAMPLE = 200
"""Characters of what a stranger said; the probe keeps as many bytes."""
_MOST_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How a batch is sent.

    ``new_connections``: a new connection for each request; else connections are kept, ``per_connection``
    requests on each if given. ``one_connection``: one connection for all requests; over HTTP/2 they are under
    way side by side, otherwise one after another. ``duration_s`` spreads the requests evenly over that time.
    ``timeout_s`` is how long each may take, but for datagrams: a denial may be silence, which is waited for.
    """

    new_connections: bool = False
    per_connection: int | None = None
    duration_s: float | None = None
    concurrency: int = CONCURRENCY
    one_connection: bool = False
    timeout_s: float = REQUEST_TIMEOUT_S

    @property
    def connections(self) -> str:
        """The same in the words of a plan."""
        return "one" if self.one_connection else "fresh" if self.new_connections else "reuse"


@dataclass(slots=True)
class Driver:
    """Sends calls from client pods and returns what became of them as evidence."""

    cluster: Cluster
    arena: Arena
    phases: Phases
    environment: Environment = field(default_factory=Environment)
    _boots: dict[str, str] = field(default_factory=dict)
    _batches: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def send(
        self, calls: Sequence[Call], options: SendOptions = SendOptions(), *, ledgers: Iterable[str] = ()
    ) -> list[Traffic]:
        """Send the calls, all at the same moment, and read the ledgers of the given workloads afterwards.

        Raises ExecFailed when a plan could not be carried out completely.
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
                results: dict[str, _Observed] = {}
                for one in sent:
                    result = one.result()
                    self._watch(result.pop(_CONTROL).rows)
                    results.update(result)
            remembered = self._ledgers(ledgers, list(names))
        return [_traffic(call, results[name], remembered[name], options) for name, call in names.items()]

    def _drive(self, client: str, batches: Mapping[str, Call], options: SendOptions) -> dict[str, _Observed]:
        plan = {
            "parallel": True,
            "deadline_s": 60,
            "batches": [
                *[_batch(name, call, options) for name, call in batches.items()],
                self._control(client),
            ],
        }
        lines = self._ctl(client, {"op": "run", "plan": plan}, timeout_s=60 + _EXEC_MARGIN_S)
        return _observations(client, lines)

    def _control(self, client: str) -> dict[str, Any]:
        """Requests of a probe to itself, as long as the others of a plan last: no mesh has a part in them."""
        batch = _batch(_CONTROL, Call(client, "127.0.0.1", 8080, 1), SendOptions(concurrency=1))
        return {**batch, "rate_per_s": CONTROL_PER_S, "until": "others"}

    def _watch(self, control: Sequence[Sequence[Any]]) -> None:
        slowest = max((one[5] for one in control), default=0)
        failures = sum(1 for one in control if one[6] is not None)
        seen = self.environment
        self.environment = Environment(max(seen.control_p99_us, slowest), seen.control_failures + failures)

    def _ctl(self, address: str, request: Mapping[str, Any], *, timeout_s: float = 30.0) -> list[Any]:
        pod = self.arena.pod(address)
        text = self.cluster.ask(
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

    def _ledgers(self, servers: Iterable[str], batches: list[str]) -> dict[str, dict[str, int]]:
        remembered: dict[str, dict[str, int]] = {name: {} for name in batches}
        addresses = list(dict.fromkeys(servers))
        if not addresses:
            return remembered
        request = {"op": "ledger", "batches": batches, "entries": 0}
        with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
            answers = list(pool.map(lambda address: self._ctl(address, request), addresses))
        for address, lines in zip(addresses, answers, strict=True):
            self._check_ledger(address, lines[-1])
            for name, entry in lines[-1]["batches"].items():
                # Zero is kept: it says that the ledger was read and holds nothing of the batch.
                remembered[name][self.arena.pod(address).workload] = entry["count"]
        return remembered

    def _check_ledger(self, address: str, ledger: Mapping[str, Any]) -> None:
        """Raises ExecFailed where requests may be missing: nothing seen must not be nothing remembered."""
        # By pod: a workload that a scenario made anew is another probe, not one that restarted.
        found = self.arena.pod(address)
        pod = f"{found.namespace}/{found.name}"
        before = self._boots.setdefault(pod, ledger["boot"])
        self._boots[pod] = ledger["boot"]
        if ledger["boot"] != before:
            raise ExecFailed(f"the probe of {address} restarted and lost its ledger")
        if ledger["overflow"]:
            raise ExecFailed(f"the ledger of {address} is full")

    def start(
        self,
        call: Call,
        options: SendOptions = SendOptions(),
        *,
        rate_per_s: float,
        duration_s: float,
    ) -> BackgroundTraffic:
        """Start steady traffic that goes on until it is stopped, or for ``duration_s`` seconds.

        The rate is lower than ``rate_per_s`` where that would come to more than STEADY_REQUESTS.
        """
        name = f"{self.arena.scope.run}-{next(self._batches)}"
        rate = min(rate_per_s, STEADY_REQUESTS / duration_s)
        steady = {**_batch(name, call, options), "rate_per_s": rate, "duration_s": duration_s}
        plan = {"parallel": True, "batches": [steady, self._control(call.client)]}
        (answer,) = self._ctl(call.client, {"op": "start", "plan": plan})
        return BackgroundTraffic(self, call, options, name, answer["handle"], rate, duration_s)


@dataclass(frozen=True, slots=True)
class BackgroundTraffic:
    """Steady traffic under way, for ``duration_s`` seconds; ``rate_per_s`` requests are due in each.

    As a context it ends with an error within, so that it does not go on beside the scenarios that follow.
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
            # That it cannot be stopped either, or has been already, is not what went wrong.
            with suppress(ClusterError):
                self._lines()

    def received(self, server: str) -> int:
        """How many of its requests a workload has seen so far."""
        remembered = self.driver._ledgers([server], [self.name])[self.name]
        return sum(remembered.values())

    def counts(self, servers: Iterable[str]) -> dict[str, int]:
        """How many of its requests each of these workloads has seen so far, by the workload's name."""
        return self.driver._ledgers(servers, [self.name])[self.name]

    def stop(self, *, ledgers: Iterable[str] = ()) -> Traffic:
        """Stop it and return what became of all its requests."""
        lines = self._lines()
        observed = self._observed(lines)
        remembered = self.driver._ledgers(ledgers, [self.name])
        whole = _traffic(self.call, observed, remembered[self.name], self.options)
        ended = lines[-1]["batches"][self.name]["took_s"] >= self.duration_s
        return replace(whole, windows=_stretches(observed.rows), expired=ended)

    def stop_with_order(self) -> tuple[tuple[tuple[str, int], ...], int]:
        """Stop it; who gave its answers in the order of the requests, and how many requests had none.

        Answers in a row by one workload are one stretch.
        """
        rows = self._observed(self._lines()).rows
        servers = _servers(rows)
        windows = tuple((server, len(list(same))) for server, same in itertools.groupby(servers))
        return windows, len(rows) - len(servers)

    def _lines(self) -> list[Any]:
        """Stop it; all that its probe tells of it."""
        return self.driver._ctl(self.call.client, {"op": "stop", "handle": self.handle})

    def _observed(self, lines: Iterable[Any]) -> _Observed:
        """What they say of it, in the order of the requests."""
        observed = _observations(self.call.client, lines)
        self.driver._watch(observed[_CONTROL].rows)
        mine = observed[self.name]
        return replace(mine, rows=sorted(mine.rows, key=lambda row: int(row[0])))


@dataclass(frozen=True, slots=True)
class _Observed:
    """What a probe tells of one batch: its observations, and samples of what strangers said."""

    rows: list[Any]
    foreign: Mapping[str, int]


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
    }


def _observations(client: str, lines: Iterable[Any]) -> dict[str, _Observed]:
    """Observations by batch. Raises ExecFailed when the end line is missing or does not add up."""
    found: dict[str, list[Any]] = {}
    end: Mapping[str, Any] = {}
    for line in lines:
        if "observations" in line:
            found.setdefault(line["batch"], []).extend(line["observations"])
        elif line.get("kind") == "end":
            end = line
    if not end:
        raise ExecFailed(f"the probe of {client} broke off before the end of its plan")
    if not end.get("complete"):
        told = [f"{name}: {total}" for name, total in end["batches"].items() if not total["complete"]]
        raise ExecFailed(f"the plan of {client} was cut short: {'; '.join(told) or 'no batch was begun'}")
    for name, total in end["batches"].items():
        if len(found.setdefault(name, [])) != total["observations"]:
            raise ExecFailed(f"observations of {client} are missing: the channel lost {name}")
    return {
        name: _Observed(rows, _foreign(end["batches"].get(name, {}).get("samples", ())))
        for name, rows in found.items()
    }


def _foreign(samples: Iterable[Sequence[Any]]) -> dict[str, int]:
    """Samples as a report may show them, the most frequent first: one line each, bounded and printable."""
    counts: Counter[str] = Counter()
    for said, count in samples:
        counts[_shown(str(said))] += int(count)
    return dict(counts.most_common(_MOST_SAMPLES))


def _shown(said: str) -> str:
    """Bytes that are no text stand as their numbers; line ends become spaces."""
    text = (c if c.isprintable() or c.isspace() else c.encode("unicode_escape").decode() for c in said)
    return printable("".join(text))[:_LONGEST_SAMPLE]


def _traffic(call: Call, observed: _Observed, reached: Mapping[str, int], options: SendOptions) -> Traffic:
    answered: Counter[str] = Counter()
    ports: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    on_connection: dict[int, list[str]] = defaultdict(list)
    latencies = []
    for _, connection, server, port, status, latency_us, failure in observed.rows:
        if failure is not None:
            failures[failure] += 1
            continue
        latencies.append(latency_us)
        if status is not None:
            statuses[str(status)] += 1
        if server is not None:
            answered[server] += 1
            ports[f"{server}:{port}"] += 1
            on_connection[connection].append(server)
    shared = [servers for servers in on_connection.values() if len(servers) > 1]
    latencies.sort()
    return Traffic(
        call=call,
        sent=len(observed.rows),
        answered=dict(sorted(answered.items())),
        ports=dict(sorted(ports.items())),
        statuses=dict(sorted(statuses.items())),
        failures=dict(sorted(failures.items())),
        received=dict(sorted(reached.items())),
        foreign=observed.foreign,
        connections=len(shared),
        uniform_connections=sum(1 for servers in shared if len(set(servers)) == 1),
        new_connections=options.new_connections,
        latency_p50_us=_percentile(latencies, 0.50),
        latency_p99_us=_percentile(latencies, 0.99),
    )


def _servers(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Who gave each answer."""
    return [str(row[2]) for row in rows if row[2] is not None and row[6] is None]


def _stretches(rows: Sequence[Sequence[Any]]) -> tuple[Mapping[str, int], ...]:
    """Who answered each STRETCH requests in a row; what is left of the last stretch is not told."""
    servers = _servers(rows)
    starts = range(0, len(servers) - WINDOW_REQUESTS + 1, WINDOW_REQUESTS)
    return tuple(dict(sorted(Counter(servers[start : start + WINDOW_REQUESTS]).items())) for start in starts)


def _percentile(ordered: Sequence[int], part: float) -> int:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0

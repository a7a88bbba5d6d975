"""Parses the observations of probes, and summarizes them as evidence of traffic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.clusters import ExecFailed
from conformance.judge.statistics import STEP
from conformance.model.evidence import Call, Look, Traffic
from conformance.text.sanitize import printable

WINDOW_REQUESTS = 60
"""The requests in a row of one window: of background traffic, a fifth of a second."""
_LONGEST_SAMPLE = 200
"""The length of a shown sample, in characters; the probe keeps as many bytes."""
_MOST_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The probe's results of a batch: its observations, and samples of answers that no probe gave."""

    rows: list[Any]
    foreign: Mapping[str, int]


@dataclass(slots=True)
class LedgerView:
    """The ledgers' view of a batch, by workload: the number of its requests, and how one of them arrived."""

    received: dict[str, int]
    arrivals: dict[str, str]


def arrival(entry: Mapping[str, Any]) -> str:
    """A ledger's entry in words: a printable line of bounded length."""
    what = f"{entry['method']} {entry['path']} " if entry["method"] else ""
    return printable(f"{what}on port {entry['port']} from {entry['remote']}")[:_LONGEST_SAMPLE]


def parse_results(client: str, lines: Iterable[Any]) -> dict[str, BatchResult]:
    """Batch → results. Raises ExecFailed if the end line is missing or contradicts the observations."""
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
        incomplete = [f"{name}: {total}" for name, total in end["batches"].items() if not total["complete"]]
        raise ExecFailed(
            f"the plan of {client} was cut short: {'; '.join(incomplete) or 'no batch was started'}"
        )
    for name, total in end["batches"].items():
        if len(found.setdefault(name, [])) != total["observations"]:
            raise ExecFailed(f"observations of {client} are missing: the channel lost {name}")
    return {
        name: BatchResult(rows, _foreign(end["batches"].get(name, {}).get("samples", ())))
        for name, rows in found.items()
    }


def _foreign(samples: Iterable[Sequence[Any]]) -> dict[str, int]:
    """Samples for a report, most frequent first: one line each, bounded and printable."""
    counts: Counter[str] = Counter()
    for text, count in samples:
        counts[_one_line(str(text))] += int(count)
    return dict(counts.most_common(_MOST_SAMPLES))


def _one_line(sample: str) -> str:
    """The sample with non-printable characters escaped and line ends as spaces."""
    text = (c if c.isprintable() or c.isspace() else c.encode("unicode_escape").decode() for c in sample)
    return printable("".join(text))[:_LONGEST_SAMPLE]


def to_traffic(call: Call, result: BatchResult, ledgers: LedgerView, *, new_connections: bool) -> Traffic:
    """The evidence of a batch: the observations of its client, and the ledgers of servers."""
    answered: Counter[str] = Counter()
    ports: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    on_connection: dict[int, list[str]] = defaultdict(list)
    latencies = []
    for _, connection, server, port, status, latency_us, failure in result.rows:
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
        sent=len(result.rows),
        answered=dict(sorted(answered.items())),
        ports=dict(sorted(ports.items())),
        statuses=dict(sorted(statuses.items())),
        failures=dict(sorted(failures.items())),
        received=dict(sorted(ledgers.received.items())),
        foreign=result.foreign,
        arrivals=dict(sorted(ledgers.arrivals.items())),
        connections=len(shared),
        uniform_connections=sum(1 for servers in shared if len(set(servers)) == 1),
        new_connections=new_connections,
        latency_p50_us=_percentile(latencies, 0.50),
        latency_p99_us=_percentile(latencies, 0.99),
    )


def servers_of(rows: Sequence[Sequence[Any]]) -> list[str]:
    """The responder of each answer."""
    return [str(row[2]) for row in rows if row[2] is not None and row[6] is None]


def answer_windows(rows: Sequence[Sequence[Any]]) -> tuple[Mapping[str, int], ...]:
    """The responders of each WINDOW_REQUESTS answers in a row; an incomplete last window is omitted."""
    servers = servers_of(rows)
    starts = range(0, len(servers) - WINDOW_REQUESTS + 1, WINDOW_REQUESTS)
    return tuple(dict(sorted(Counter(servers[start : start + WINDOW_REQUESTS]).items())) for start in starts)


def looks(rows: Sequence[Sequence[Any]]) -> tuple[Look, ...]:
    """The responders of the first STEP requests, of twice as many, and so on, in the order of sending."""
    found, counts = [], Counter[str]()
    for number, row in enumerate(sorted(rows, key=lambda row: int(row[0])), 1):
        counts.update(servers_of([row]))
        if number % STEP == 0:
            found.append(Look(number, dict(sorted(counts.items()))))
    return tuple(found)


def _percentile(ordered: Sequence[int], share: float) -> int:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0

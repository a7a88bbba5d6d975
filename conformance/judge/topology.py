"""Whether the edges that the metrics API shows match the calls that were made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from conformance.judge.malformed import fail_on_malformed, judge_findings
from conformance.judge.metrics_parser import ObjectReference, TrafficMetrics, TrafficMetricsList, parse_list
from conformance.judge.phrasing import listed, pluralize
from conformance.judge.registry import judge
from conformance.model.evidence import ApiRead
from conformance.model.verdict import Judgement, Verdict

_KIND = "Deployment"
_PEERS = frozenset({_KIND, "Service", "Pod"})


class _Edge(NamedTuple):
    resource: str
    direction: str
    peer: str

    def __str__(self) -> str:
        return f"{self.resource} {self.direction} {self.peer}"


@dataclass(frozen=True, slots=True)
class _Arena:
    """The workloads involved: their namespace, their names, and workload names by pod name."""

    namespace: str
    names: Set[str]
    pods: Mapping[str, str]

    def workload(self, peer: ObjectReference) -> str:
        """The workload that a peer denotes; empty if none."""
        name = self.pods.get(peer.name, "") if peer.kind == "Pod" else peer.name
        known = peer.kind in _PEERS and peer.namespace == self.namespace and name in self.names
        return name if known else ""


@judge
@fail_on_malformed
def traffic_edges(
    baseline: Mapping[str, ApiRead],
    reads: Mapping[str, ApiRead],
    calls: Sequence[tuple[str, str]] | Set[tuple[str, str]],
    namespace: str,
    bystanders: Sequence[str] | Set[str] = (),
    aliases: Mapping[str, str] | None = None,
    addressed: ApiRead | None = None,
) -> Judgement:
    """Each object's edges are the calls it made ('to') and received ('from'), and no others of the arena.

    ``reads`` maps the name of a deployment in ``namespace`` to the list of its edges, ``calls`` are pairs of
    caller and callee by those names; ``bystanders`` made and received no calls. ``aliases`` maps pod names to
    deployment names. The kind of a peer is left open: the deployment, the service of that name, or a pod, in
    this namespace. Any other peer is foreign traffic and ignored, as is a general peer, which names only a
    kind or a namespace. ``addressed`` is an attempt to get a single edge, which must not exist. A claim of
    effect: ``baseline`` must not show any of the same edges.
    """
    pods = dict(aliases or {})
    arena = _Arena(
        namespace,
        frozenset({*reads, *bystanders, *pods.values(), *(name for pair in calls for name in pair)}),
        pods,
    )
    due = _due(reads, calls)
    answers = {name: parse_list(read) for name, read in reads.items()}
    shown = _shown(answers, arena)
    missing = _list_of("edges are missing", due - shown)
    expected = f"exactly the edges {listed(sorted(map(str, due)))}"
    judged = judge_findings(
        [
            *(finding for name, answer in answers.items() for finding in _misnamed(name, answer, namespace)),
            missing and missing + _namesakes(answers, arena),
            _list_of("edges are shown without a call", shown - due),
            _single_edge(addressed),
        ],
        expected,
        f"{pluralize(len(due), 'edge')} shown, no other: {listed(sorted(map(str, due)))}",
        hint="direction 'to' means that the resource sends to edge.resource, 'from' that it receives",
    )
    if not due:
        return Judgement(Verdict.INCONCLUSIVE, "no call was made, so no edge can show", expected=expected)
    found = _already_in_force(baseline, due, arena) if judged.passed else None
    return found or judged


def _due(reads: Mapping[str, ApiRead], calls: Iterable[tuple[str, str]]) -> set[_Edge]:
    made = {_Edge(caller, "to", callee) for caller, callee in calls if caller in reads}
    got = {_Edge(callee, "from", caller) for caller, callee in calls if callee in reads}
    return made | got


def _shown(answers: Mapping[str, TrafficMetricsList], arena: _Arena) -> set[_Edge]:
    return {
        _Edge(name, figures.direction, peer)
        for name, answer in answers.items()
        for figures in answer.items
        if (peer := arena.workload(figures.peer))
    }


def _namesakes(answers: Mapping[str, TrafficMetricsList], arena: _Arena) -> str:
    """Peers with the name of a workload, but of another kind or namespace."""
    peers = {figures.peer for answer in answers.values() for figures in answer.items}
    others = [str(peer) for peer in peers if not arena.workload(peer) and peer.name in arena.names]
    return f" (of another kind or namespace: {listed(sorted(others))})" if others else ""


def _misnamed(name: str, answer: TrafficMetricsList, namespace: str) -> list[str]:
    findings = []
    due = ObjectReference(_KIND, name, namespace)
    if answer.resource != due:
        findings.append(f"the list of {name}'s edges has resource {answer.resource}, not {due}")
    for index, figures in enumerate(answer.items):
        if figures.resource != due:
            findings.append(
                f"items[{index}] of {name} has resource {figures.resource}{_swapped(figures, name)}"
            )
        if figures.peer == ObjectReference():
            findings.append(f"items[{index}] of {name} names no peer in edge.resource")
    return findings


def _swapped(figures: TrafficMetrics, name: str) -> str:
    return ", swapped with edge.resource" if figures.peer.name == name else ""


def _list_of(what: str, found: Collection[_Edge]) -> str:
    return f"{what}: {listed(sorted(map(str, found)))}" if found else ""


def _single_edge(addressed: ApiRead | None) -> str:
    if addressed is None or addressed.status >= 400:
        return ""
    return f"{addressed.path} answered {addressed.status}: single edges cannot be addressed"


def _already_in_force(baseline: Mapping[str, ApiRead], due: set[_Edge], arena: _Arena) -> Judgement | None:
    if not baseline:
        reason = "the edges were not read before the calls: there is no null control"
        return Judgement(Verdict.INCONCLUSIVE, reason)
    # The answer for an object without traffic is left open: an empty list, 404, or a server error.
    answers = {name: parse_list(read) for name, read in baseline.items() if read.status == 200}
    early = due & _shown(answers, arena)
    if not early:
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"indistinguishable from configuration: shown before any call: {listed(sorted(map(str, early)))}",
        hint="edges must come from observed traffic; earlier traffic must have left the window",
    )

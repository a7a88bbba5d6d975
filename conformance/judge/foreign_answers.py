"""Answers that came from no sample workload: quoted as evidence, no verdict by themselves."""

from __future__ import annotations

from collections import Counter

from conformance.judge.phrasing import listed, short
from conformance.model.evidence import Traffic

OK = "200"
"""The status of an answered HTTP request, as ``Traffic.statuses`` spells it."""

_LONGEST = 120
_RESOLVER = "resolver: "
_RAW = {"tcp": "raw TCP", "greeting": "raw TCP", "udp": "UDP"}
_BY_CLASS = {
    "3": "find the component that redirects, and its target: the answer is in the evidence",
    "5": "find what answered in the workloads' place, and whose ledger lacks these requests",
}
_BY_OUTCOME = {
    "status 401": "find the component that refuses these calls, and the grant that they need",
    "status 403": "find the component that refuses these calls, and the grant that they need",
    "status 404": "find what answered in the workloads' place, and its routes for this host and path",
    "closed": "find the component that closed these connections without an answer",
    "dns": "check the called name: hosts.service and cluster_domain in the profile, and the cluster's DNS",
    "mismatch": "the answers belong to other requests",
    "protocol": "check the protocol that the mesh assumes for the port: the peer did not speak the client's",
    "refused": "check for a listener at this address: connections were refused",
    "reset": "find the component that reset these connections without an answer",
    "timeout": "find where these requests are held: no answer came in time",
    "tls": "find the component that speaks TLS to a plain-text client",
    "unreachable": "check the route from the client to this address",
}


def other_statuses(traffic: Traffic) -> dict[str, int]:
    """Counts of statuses other than OK, by "status CODE"."""
    return {f"status {code}": n for code, n in traffic.statuses.items() if str(code) != OK}


def quote_foreign(traffic: Traffic) -> str:
    """The foreign answers, each with its kind if recognised; empty if there are none."""
    samples = [one for one in traffic.foreign if not one.startswith(_RESOLVER)]
    if not samples:
        return ""
    kinds = [_kind(one, traffic.call.protocol) for one in samples]
    told = (f"{kind} {_cut(one)}".strip() for kind, one in zip(kinds, samples, strict=True))
    return f"what came instead: {listed(told)}"


def resolver_message(traffic: Traffic) -> str:
    """The error message of the client's resolver; empty if unknown."""
    samples = (one[len(_RESOLVER) :] for one in traffic.foreign if one.startswith(_RESOLVER))
    return next((_cut(one) for one in samples), "")


def where_to_look(traffic: Traffic) -> str:
    """A hint by the most frequent outcome of failed requests; empty if none failed."""
    outcomes = Counter(dict(traffic.failures))
    # Workloads answer with other statuses as well: these count only if others than workloads answered.
    if traffic.answers + sum(traffic.failures.values()) < traffic.sent:
        outcomes.update(other_statuses(traffic))
    if not +outcomes:
        return ""
    outcome = max(outcomes, key=lambda name: outcomes[name])
    by_class = _BY_CLASS.get(outcome[7:8], "") if outcome.startswith("status ") else ""
    return _BY_OUTCOME.get(outcome, by_class)


def _kind(samples: str, protocol: str) -> str:
    if samples.startswith("HTTP/"):
        if protocol in _RAW:
            return f"HTTP in answer to {_RAW[protocol]}"
        if protocol in {"http2", "grpc"} and samples.startswith("HTTP/1"):
            return "HTTP/1 in answer to HTTP/2"
        if samples.partition(" ")[2].startswith("3"):
            return "a redirect"
    lowered = samples.lower()
    return "an HTML page" if "<html" in lowered or "<!doctype html" in lowered else ""


def _cut(samples: str) -> str:
    return short(samples, _LONGEST)

"""What came instead of a workload's answer, in words: it is quoted, and nobody is blamed for it by itself."""

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
    "3": "who redirects, and where to: the answer is in the evidence",
    "5": "what answered in the workloads' place, and which of their ledgers miss these requests",
}
_BY_OUTCOME = {
    "status 401": "who refuses these calls, and which grant they would need",
    "status 403": "who refuses these calls, and which grant they would need",
    "status 404": "who answered in the workloads' place, and what it knows of this host and path",
    "closed": "who ended these connections without an answer",
    "dns": "the name that is called: hosts.service and cluster_domain in the profile, and the cluster's DNS",
    "mismatch": "answers that belong to other requests",
    "protocol": "which protocol the mesh takes the port for: the other end spoke another than the client",
    "refused": "whether anybody listens there: connections were refused",
    "reset": "who ended these connections without an answer",
    "timeout": "where these requests stay: nothing came back in time",
    "tls": "who speaks TLS to a client that asked for none",
    "unreachable": "whether there is a way from the client to this address",
}


def other_statuses(traffic: Traffic) -> dict[str, int]:
    """Statuses other than OK, in words."""
    return {f"status {code}": n for code, n in traffic.statuses.items() if str(code) != OK}


def quote_foreign(traffic: Traffic) -> str:
    """What strangers said, each with what kind of thing it is where that can be told; empty for nothing."""
    samples = [one for one in traffic.foreign if not one.startswith(_RESOLVER)]
    if not samples:
        return ""
    kinds = [_kind(one, traffic.call.protocol) for one in samples]
    told = (f"{kind} {_cut(one)}".strip() for kind, one in zip(kinds, samples, strict=True))
    return f"what came instead: {listed(told)}"


def resolver_message(traffic: Traffic) -> str:
    """What the client's resolver said; empty where that is not known."""
    samples = (one[len(_RESOLVER) :] for one in traffic.foreign if one.startswith(_RESOLVER))
    return next((_cut(one) for one in samples), "")


def where_to_look(traffic: Traffic) -> str:
    """Where to look first, by the outcome that most of the failed requests had; empty where none failed."""
    outcomes = Counter(dict(traffic.failures))
    # Workloads answer with other statuses as well: these count where somebody else answered.
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

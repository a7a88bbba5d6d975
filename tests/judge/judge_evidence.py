"""Evidence as driving would produce it, in one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.model.evidence import AccessResult, ApiRead, Call, Convergence, Traffic

CONVERGED = Convergence("v2 is reached from every client", within_s=60, took_s=1.25)
NOT_CONVERGED = Convergence("v2 is reached from every client", within_s=60, took_s=None)


def traffic(answered: Mapping[str, int], **changes: Any) -> Traffic:
    """A batch with answers of these workloads; both views agree unless ``received`` differs."""
    failures = changes.get("failures", {})
    sent = changes.get("sent", sum(answered.values()) + sum(failures.values()))
    client = changes.pop("client", "client-a")
    defaults: dict[str, Any] = {
        "call": Call(client, "root", 8080, sent),
        "sent": sent,
        "answered": dict(answered),
        "ports": {f"{name}:8080": count for name, count in answered.items()},
        "statuses": {"200": sum(answered.values())} if answered else {},
        "failures": {},
        "received": {name: count for name, count in answered.items() if count},
        "new_connections": True,
    }
    return Traffic(**{**defaults, **changes})


def silence(sent: int = 10, **changes: Any) -> Traffic:
    """A batch without an answer."""
    return traffic({}, sent=sent, failures={"reset": sent}, **changes)


def cell(name: str, expect: Any, seen: Traffic, **changes: Any) -> AccessResult:
    """A cell of an access table for the workload ``server``, denied in the baseline by default."""
    defaults: dict[str, Any] = {
        "baseline": silence(client=seen.call.client),
        "server": "server",
        "convergence": CONVERGED,
    }
    # The ledger of the cell's server was read, whatever it held.
    seen = replace(seen, received={"server": 0, **seen.received})
    return AccessResult(name, expect, traffic=seen, **{**defaults, **changes})


def read(body: Any, status: int = 200, path: str = "/apis/metrics.smi-spec.io/v1alpha1/x") -> ApiRead:
    return ApiRead("admin", path, status, body)


def reference(name: str, kind: str = "Deployment", namespace: str = "arena") -> dict[str, str]:
    return {"kind": kind, "name": name, "namespace": namespace}


def metrics(
    name: str = "server",
    *,
    successes: Any = "80",
    failures: Any = "20",
    p50: Any = "10m",
    p90: Any = "200m",
    p99: Any = "1",
    unit: str = "seconds",
    direction: str = "from",
    peer: str = "",
    window: str = "10s",
) -> dict[str, Any]:
    """One TrafficMetrics as a mesh would send it."""
    latencies = {"p99": p99, "p90": p90, "p50": p50}
    return {
        "kind": "TrafficMetrics",
        "apiVersion": "metrics.smi-spec.io/v1alpha1",
        "resource": reference(name),
        "edge": {
            "direction": direction,
            "side": "server" if direction == "from" else "client",
            "resource": reference(peer) if peer else {},
        },
        "timestamp": "2024-04-08T22:25:55Z",
        "window": window,
        "metrics": [
            *(
                {"name": f"{label}_response_latency", "unit": unit, "value": value}
                for label, value in latencies.items()
            ),
            {"name": "success_count", "value": successes},
            {"name": "failure_count", "value": failures},
        ],
    }


def metrics_list(*items: Any, resource: Any = None) -> dict[str, Any]:
    return {"kind": "TrafficMetricsList", "resource": resource or {"kind": "Deployment"}, "items": [*items]}


HOSTILE: tuple[Any, ...] = (
    None,
    "",
    "<script>alert(1)</script>",
    0,
    1e308,
    True,
    [],
    [[[[]]]],
    {},
    {"kind": None},
    {"kind": "TrafficMetrics"},
    {"kind": "TrafficMetricsList", "items": {"a": 1}},
    {"kind": "TrafficMetricsList", "resource": [], "items": []},
    {"kind": "TrafficMetricsList", "resource": {}, "items": [None, 3, "x"]},
    {"kind": "APIService", "spec": [], "status": {"conditions": {"type": "Available"}}},
    {"kind": "APIService", "spec": {"service": "x"}, "metadata": 3, "status": {"conditions": [1, None]}},
    {"kind": "APIResourceList", "resources": None},
    {"kind": "APIResourceList", "resources": [None, 1, "pods", {"name": 3}, {"name": "pods", "verbs": 7}]},
    {"kind": "APIResourceList", "resources": [{"name": "pods", "verbs": [{}, []], "namespaced": "true"}]},
    {**metrics(), "metrics": None},
    {**metrics(), "metrics": [None]},
    {**metrics(), "metrics": [{"name": []}]},
    {**metrics(), "edge": "from"},
    {**metrics(), "edge": {"direction": ["to"], "side": {}, "resource": 4}},
    {**metrics(), "resource": {"kind": {}, "name": 3}},
    {**metrics(), "resource": {"kind": "Pod", "name": "a\x00b" * 9999}},
    {**metrics(), "window": "-1s"},
    {**metrics(), "window": "9" * 5000 + "h"},
    {**metrics(), "timestamp": 12},
    {**metrics(), "timestamp": "2024-13-45T99:99:99Z"},
    {**metrics(), "backend": {"apex": 1, "name": 2, "weight": "x"}},
    metrics(successes="1e999"),
    metrics(successes="NaN"),
    metrics(successes=float("inf")),
    metrics(p99="-1"),
    metrics(unit="fortnights"),
)
"""Bodies on which no judge may raise."""

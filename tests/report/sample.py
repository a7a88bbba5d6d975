"""A report as a run against a real mesh would leave it: the documents that the tests draw and look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

from conformance import catalogue
from conformance.model.evidence import ApiRead, Call, Convergence, Environment, RoundTrip, Traffic
from conformance.model.verdict import Basis, Judgement, Reading, Share, Verdict
from conformance.report.assemble import UnjudgedStatus, build, requirement_record
from conformance.report.conclusions import Observation, conclude, evidence_record
from conformance.report.document import (
    ClusterInfo,
    Conclusion,
    Diagnostic,
    Finding,
    MeshRecord,
    NodeRecord,
    Report,
    RequirementRecord,
    Run,
    Timing,
)

STARTED = datetime(2026, 11, 24, 9, 14, 3, tzinfo=UTC)


def traffic(
    client: str,
    host: str,
    answered: dict[str, int],
    *,
    path: str = "/",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    refused: int = 0,
    failures: dict[str, int] | None = None,
    leaked: dict[str, int] | None = None,
) -> Traffic:
    """A batch in which servers answered, a proxy said 403 or the connection failed."""
    answers = sum(answered.values())
    failures = failures or {}
    sent = answers + refused + sum(failures.values())
    statuses = {key: n for key, n in {"200": answers, "403": refused}.items() if n}
    return Traffic(
        call=Call(client, host, 8080, sent, method=method, path=path, headers=headers or {}),
        sent=sent,
        answered=answered,
        ports={f"{server}:8080": n for server, n in answered.items()},
        statuses=statuses,
        failures=failures,
        received={**answered, **(leaked or {})},
        connections=8,
        latency_p50_us=1_840,
        latency_p99_us=9_210,
    )


def share(server: str, observed: float, expected: float, tolerance: float) -> Share:
    low, high = max(0.0, expected - tolerance), min(1.0, expected + tolerance)
    return Share(server, observed, expected, low, high)


def conclude_with(
    nodeid: str,
    title: str,
    judgement: Judgement,
    *,
    evidence: Iterable[tuple[str, Observation]] = (),
    convergences: Iterable[Convergence] = (),
    duration_s: float = 0.0,
) -> Conclusion:
    """A conclusion with this evidence, whatever its basis holds."""
    return conclude(nodeid, title, judgement, duration_s).model_copy(
        update={
            "evidence": tuple(evidence_record(name, value) for name, value in evidence),
            "convergences": tuple(convergences),
        }
    )


def weighted(verdict: Verdict) -> Conclusion:
    """A split of 70/30, followed or not."""
    good = verdict is Verdict.PASS
    counts = {"v1": 5_938, "v2": 2_562} if good else {"v1": 5_271, "v2": 3_229}
    baseline = traffic("client", "bookstore", {"v1": 96, "v2": 104})
    sample = traffic("client", "bookstore", counts)
    shares = tuple(
        share(server, counts[server] / 8_500, weight, 0.0193) for server, weight in (("v1", 0.7), ("v2", 0.3))
    )
    seen = f"v1 got {shares[0].observed:.1%} and v2 {shares[1].observed:.1%} of 8500 requests"
    convergence = Convergence("v1 and v2 answer for bookstore and root does not", 30, 1.27)
    judgement = Judgement(
        verdict,
        seen + (", within the accepted regions" if good else "; v1 is outside its region"),
        expected="v1 70 %, v2 30 % of the requests to bookstore",
        hint="" if good else "62/38 is what weights rounded to quarters give: look at how weights are scaled",
        shares=shares,
        basis=Basis(
            "weights_followed", {"baseline": baseline, "sample": sample, "weights": {"v1": 70, "v2": 30}}
        ),
    )
    return conclude_with(
        "suites/traffic_split/test_weights.py::test_shares_follow_the_weights",
        "shares follow the weights",
        judgement,
        evidence=[("baseline", baseline), ("sample", sample), ("control", Environment(2_100, 0))],
        convergences=[convergence],
        duration_s=6.41,
    )


def quarters() -> Conclusion:
    counts = {"v1": 2_011, "v2": 1_024, "v3": 962, "v4": 3}
    total = sum(counts.values())
    wanted = {"v1": 0.5, "v2": 0.25, "v3": 0.2475, "v4": 0.0025}
    return conclude_with(
        "suites/traffic_split/test_weights.py::test_only_the_ratio_of_weights_counts",
        "only the ratio of weights counts",
        Judgement(
            Verdict.PASS,
            f"four backends got their shares of {total} requests",
            expected="50 %, 25 %, 24.75 % and 0.25 %",
            shares=tuple(
                share(name, counts[name] / total, wanted[name], 0.03 if wanted[name] > 0.1 else 0.0025)
                for name in counts
            ),
        ),
        evidence=[("sample", traffic("client", "bookstore", counts))],
        convergences=[Convergence("all four backends answer", 30, 0.84)],
        duration_s=4.02,
    )


def leak() -> Conclusion:
    baseline = traffic("client", "server", {"server": 200})
    denied = traffic("client", "server", {}, path="/admin", refused=500, leaked={"server": 7})
    granted = traffic("client", "server", {"server": 500}, path="/books")
    return conclude_with(
        "suites/traffic_access/test_routes.py::test_a_route_that_is_not_listed_is_denied",
        "a route that is not listed is denied",
        Judgement(
            Verdict.FAIL,
            "7 of 500 requests to /admin are in the ledger of server although every client saw a 403",
            expected="no request to /admin reaches server while those to /books do",
            hint="the filter answers after it forwards: look at the order of the filters",
            basis=Basis("access_enforced", {"results": [{"name": "/admin", "traffic": denied}]}),
        ),
        evidence=[("baseline", baseline), ("denied", denied), ("granted", granted)],
        convergences=[Convergence("/books opens for client", 30, 2.5)],
        duration_s=9.8,
    )


def unseen() -> Conclusion:
    baseline = traffic("client", "twin", {}, failures={"timeout": 40})
    return conclude_with(
        "suites/traffic_access/test_default.py::test_without_a_target_nothing_is_reached",
        "without a target nothing is reached",
        Judgement(
            Verdict.INCONCLUSIVE,
            "denial without positive control: the call to the twin server outside the mesh failed as well",
            expected="no request reaches server while the same call to its twin goes through",
            hint="a NetworkPolicy of the cluster may close the namespace; smi-conformance doctor tells",
        ),
        evidence=[
            ("control", baseline),
            ("denied", traffic("client", "server", {}, failures={"reset": 200})),
        ],
        convergences=[Convergence("the twin answers", 30, None)],
        duration_s=31.2,
    )


def metrics() -> Conclusion:
    path = "/apis/metrics.smi-spec.io/v1alpha1/namespaces/smi-r7k2/deployments/server"
    body: dict[str, Any] = {
        "kind": "TrafficMetrics",
        "apiVersion": "metrics.smi-spec.io/v1alpha1",
        "resource": {"kind": "Deployment", "namespace": "smi-r7k2", "name": "server"},
        "edge": {"direction": "from", "resource": None},
        "timestamp": "2026-11-24T09:15:22Z",
        "window": "30s",
        "metrics": [
            {"name": "p99_response_latency", "unit": "seconds", "value": "210m"},
            {"name": "success_count", "value": "1200"},
            {"name": "failure_count", "value": "0"},
        ],
    }
    return conclude_with(
        "suites/traffic_metrics/test_counts.py::test_counts_tell_successes_from_failures",
        "counts tell successes from failures",
        Judgement(
            Verdict.FAIL,
            "failure_count is 0 where 300 of 1200 requests were answered with 503",
            expected="success_count 900 ± 10 % and failure_count 300 ± 10 %",
            hint="responses of class 5xx count as failures",
        ),
        evidence=[
            ("baseline", ApiRead("client", path, 404, "not found", 2.0)),
            ("read", ApiRead("client", path, 200, body, 61.5)),
        ],
        duration_s=62.1,
    )


def schema() -> Conclusion:
    sent = {
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": "bookstore"},
        "spec": {
            "service": "bookstore",
            "backends": [{"service": "v1", "weight": 70}, {"service": "v2", "weight": 30}],
        },
    }
    verbs = dict.fromkeys(("create", "get", "list", "watch", "patch", "replace", "delete"), True)
    return conclude_with(
        "suites/common/test_objects.py::test_objects_come_back_as_they_were_sent[split]",
        "objects come back as they were sent",
        Judgement(Verdict.PASS, "1 object came back unchanged and all 7 verbs were carried out"),
        evidence=[("split", RoundTrip("split.smi-spec.io/v1alpha4", "TrafficSplit", sent, sent, verbs))],
        duration_s=0.3,
    )


def reading(identity: str) -> Conclusion:
    questions = catalogue.load()[identity].readings or ("what it does",)
    return conclude_with(
        "suites/traffic_split/test_readings.py::test_what_a_split_with_only_zero_weights_does",
        "what a split with only zero weights does",
        Judgement(
            Verdict.PASS,
            "every request was answered with 503 by the client's own proxy",
            readings=tuple(Reading(one, "a", "nobody answers") for one in questions),
        ),
        evidence=[("sample", traffic("client", "bookstore", {}, failures={"protocol": 200}))],
        duration_s=1.1,
    )


def unread() -> Conclusion:
    return conclude_with(
        "suites/traffic_split/test_readings.py::test_what_a_split_of_itself_does",
        "what a split of itself does",
        Judgement(Verdict.INCONCLUSIVE, "not observed: cannot be told from no mesh"),
        duration_s=1.1,
    )


def passed(identity: str) -> Conclusion:
    words = identity.replace("-", " ")
    return conclude_with(
        f"suites/test_{identity.partition('-')[0]}.py::test_{words.replace(' ', '_')}",
        words,
        Judgement(
            Verdict.PASS,
            "all 400 requests of client reached server and nothing else",
            expected="every request reaches server",
        ),
        evidence=[
            ("baseline", traffic("client", "server", {}, refused=100)),
            ("sample", traffic("client", "server", {"server": 400}, headers={"x-user": "alice"})),
        ],
        convergences=[Convergence("client is let through", 30, 0.62)],
        duration_s=1.87,
    )


WRITTEN = {
    "split-weighted-distribution": lambda: [weighted(Verdict.FAIL)],
    "split-unit-of-division": lambda: [reading("split-unit-of-division")],
    "split-all-weights-zero": lambda: [reading("split-all-weights-zero")],
    "split-self-reference": lambda: [unread()],
    "split-weights-are-relative": lambda: [weighted(Verdict.PASS), quarters()],
    "access-deny-unlisted-route": lambda: [leak()],
    "access-default-deny": lambda: [unseen()],
    "metrics-counts": lambda: [metrics()],
    "common-crud-with-standard-tools": lambda: [schema()],
    "split-schema-v1alpha3-v1alpha4": lambda: [schema()],
}


def records(*, interrupted: bool = False) -> Iterator[RequirementRecord]:
    """The whole catalogue: what is written above, the rest passed, observed or left out, as in real runs."""
    tested = cycle((True, True, True, True, False))
    for position, entry in enumerate(catalogue.load().values(), 1):
        tests: Iterable[Conclusion] = ()
        otherwise: UnjudgedStatus = "untested"
        note = "needs a mesh that takes part in the API server's admission" if position % 3 else ""
        if interrupted and position > 90:
            otherwise, note = "not reached", ""
        elif entry.id in WRITTEN:
            tests = WRITTEN[entry.id]()
        elif "v1alpha1" in entry.id and entry.api != "Common":
            otherwise, note = (
                "not claimed",
                f"the profile claims no {entry.versions[0].replace('..', ' to ')}",
            )
        elif entry.level == "ambiguous" and position % 2:
            tests = [reading(entry.id)]
        elif entry.level != "ambiguous" and next(tested):
            tests = [passed(entry.id)]
        elif entry.level == "extended":
            otherwise, note = "not selected", ""
        note = "" if tests else note
        faults = [f"{entry.id}-ignored"] if tests and entry.level != "ambiguous" else []
        yield requirement_record(entry, tests, otherwise=otherwise, note=note, faults=faults)


MESH = MeshRecord(
    profile="osm",
    description="Open Service Mesh, sidecars on Envoy",
    versions={"osm-controller": "openservicemesh/osm-controller:v1.2.4", "envoy": "v1.22.2"},
    claims={"split": ("v1alpha2",), "access": ("v1alpha3",), "specs": ("v1alpha4",)},
)

CLUSTER = ClusterInfo(
    context="kind-smi",
    kubernetes="v1.31.2",
    nodes=(
        NodeRecord(
            name="smi-control-plane",
            architecture="amd64",
            os="Debian GNU/Linux 12 (bookworm)",
            kernel="6.8.0-48-generic",
            runtime="containerd://1.7.18",
        ),
    ),
    images=("docker.io/library/python:3.12-slim",),
)

TIMING = Timing(
    total_s=221.4, setup_s=18.2, waiting_s=74.9, traffic_s=81.3, judging_s=0.9, cleanup_s=22.0, other_s=24.1
)

FINDINGS = (
    Finding(
        severity="error",
        text="the profile claims metrics v1alpha1, but no APIService metrics.smi-spec.io is there",
        remedy="install the mesh's metrics extension or drop the claim",
    ),
    Finding(
        severity="warning",
        text="the profile disclaims split v1alpha4, but the cluster serves it and it works",
        remedy="claim it in the profile, or say in its description why not",
    ),
    Finding(
        severity="info",
        text="the control request took 2.1 ms at its 99th percentile; the nodes were not starved",
    ),
)

REJECTED = (
    "[2026-11-24 09:15:20.101][1][warning][config] gRPC config for type.googleapis.com/"
    "envoy.config.route.v3.RouteConfiguration rejected: weight must be at least 1\n"
)

DIAGNOSTICS = (
    Diagnostic(name="pod smi-r7k2/server-6c9f: container sidecar, last lines", text=REJECTED * 12),
    Diagnostic(
        name="events of namespace smi-r7k2",
        text="09:14:31 Normal   Scheduled  pod/server-6c9f  Successfully assigned\n"
        "09:14:33 Warning  Unhealthy  pod/server-6c9f  Readiness probe failed\n",
    ),
)


def sample(requirements: Iterable[RequirementRecord] | None = None, *, interrupted: bool = False) -> Report:
    """A report with every kind of outcome in it."""
    return build(
        suite_version="0.1.0",
        run=Run(
            id="r7k2-x9",
            started=STARTED,
            finished=STARTED + timedelta(minutes=3, seconds=41),
            command=("smi-conformance", "run", "--profile", "osm", "--context", "kind-smi"),
            seed=748_201_773,
            interrupted=interrupted,
        ),
        mesh=MESH,
        cluster=CLUSTER,
        timing=TIMING,
        requirements=records(interrupted=interrupted) if requirements is None else requirements,
        findings=FINDINGS,
        diagnostics=DIAGNOSTICS,
    )

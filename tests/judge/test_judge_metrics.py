"""The metrics API: pass, fail, inconclusive, hostile bodies, and their messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from judge_evidence import HOSTILE, metrics, metrics_list, read, reference, traffic

from conformance import judge
from conformance.drive import metrics_load
from conformance.judge.histograms import DELAYS_MS, EXPECTED_MS
from conformance.judge.metrics import TOLERANCE
from conformance.judge.metrics_api import advertised
from conformance.model.evidence import ApiRead, Traffic
from conformance.model.verdict import Judgement, Verdict

NOTHING = read({"kind": "Status", "message": "no traffic"}, 404)
ERROR = read({"kind": "Status", "message": "no series"}, 500)
GONE = read(metrics(successes="0", failures="0"))
SERVICE = {
    "kind": "APIService",
    "metadata": {"name": "v1alpha1.metrics.smi-spec.io"},
    "spec": {
        "group": "metrics.smi-spec.io",
        "version": "v1alpha1",
        "service": {"name": "metrics", "namespace": "mesh"},
    },
    "status": {"conditions": [{"type": "Available", "status": "True"}]},
}
RESOURCES = {
    "kind": "APIResourceList",
    "resources": [
        {"name": "namespaces", "namespaced": False, "kind": "TrafficMetrics", "verbs": ["get", "list"]},
        {"name": "pods", "namespaced": True, "kind": "TrafficMetrics", "verbs": ["get", "list"]},
        {"name": "deployments", "namespaced": True, "kind": "TrafficMetrics", "verbs": ["get", "list"]},
        {"name": "pods/edges", "namespaced": True, "kind": "TrafficMetricsList", "verbs": ["get"]},
    ],
}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a document with another value at a path of field names."""
    first, _, rest = path.partition(".")
    return {**document, first: changed(document[first], rest, value) if rest else value}


def counts(
    baseline: ApiRead, shown: ApiRead, later: ApiRead | None, succeeded: int, failed: int, seconds: float
) -> Judgement:
    """The judgement of counts if all requests were answered as expected."""
    load = traffic({"mid": succeeded}), traffic({"mid": failed}, statuses={"500": failed})
    return judge.request_counts(baseline, shown, later, *load, seconds)


class TestApiService:
    served = read(RESOURCES)

    def test_an_available_service_behind_the_aggregation_layer_passes(self) -> None:
        found = judge.apiservice(read(SERVICE), self.served)
        assert found.verdict is Verdict.PASS
        assert found.summary == "the APIService points at 'metrics' in 'mesh', is Available and answers"

    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            ("spec.service", None, "spec.service names no service: the API is not aggregated"),
            ("spec.service", {"name": "x"}, "spec.service names no service: the API is not aggregated"),
            (
                "spec.group",
                "metrics.smi-spec.io/v1alpha1",
                "spec.group is 'metrics.smi-spec.io/v1alpha1', not 'metrics.smi-spec.io'",
            ),
            ("spec.version", "v1alpha2", "spec.version is 'v1alpha2', not 'v1alpha1'"),
            ("metadata.name", "other", "metadata.name is 'other', not 'v1alpha1.metrics.smi-spec.io'"),
            ("status.conditions", [], "the APIService has no Available condition"),
            (
                "status.conditions",
                [{"type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "none"}],
                "the APIService is not Available: 'MissingEndpoints', 'none'",
            ),
        ],
    )
    def test_the_error_is_reported(self, path: str, value: Any, said: str) -> None:
        found = judge.apiservice(read(changed(SERVICE, path, value)), self.served)
        assert (found.verdict, found.summary) == (Verdict.FAIL, said)

    def test_a_service_that_does_not_answer_fails(self) -> None:
        found = judge.apiservice(read(SERVICE), read({}, 503, "/apis/metrics.smi-spec.io/v1alpha1"))
        assert found.verdict is Verdict.FAIL
        assert found.summary == "/apis/metrics.smi-spec.io/v1alpha1 answered 503, kind None"
        assert not judge.apiservice(read(SERVICE), read(RESOURCES, 503)).passed
        assert not judge.apiservice(read(SERVICE), read({"kind": "Status"})).passed

    def test_no_service_at_all_fails(self) -> None:
        assert judge.apiservice(NOTHING, self.served).verdict is Verdict.FAIL


class TestDiscovery:
    @staticmethod
    def answered(*more: ApiRead) -> list[ApiRead]:
        return [
            *(read(metrics_list(), path=f"/{kind}") for kind in ("deployments", "namespaces", "pods")),
            *more,
        ]

    @staticmethod
    def offering(kind: str) -> ApiRead:
        entry = {"name": kind, "namespaced": True, "kind": "TrafficMetrics", "verbs": ["get", "list"]}
        return read({**RESOURCES, "resources": [*RESOURCES["resources"], entry]})  # type: ignore[misc]

    def test_truthful_discovery_passes(self) -> None:
        found = judge.discovery(read(RESOURCES), self.answered())
        assert found.verdict is Verdict.PASS
        assert found.summary == "3 kinds offered: deployments, namespaces, pods"

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ({"kind": "Pod"}, "pods has kind 'Pod'"),
            ({"verbs": ["get"]}, "pods lacks the verbs list"),
            ({"namespaced": False}, "pods is not namespaced (namespaced: False)"),
            (
                {"name": "namespaces", "namespaced": True},
                "namespaces is namespaced (namespaced: True)",
            ),
            ({"name": "pods/edges", "verbs": []}, "pods/edges offers neither get nor list"),
            ({"name": ""}, "resources[0] has the name ''"),
        ],
    )
    def test_the_error_of_an_entry_is_reported(self, entry: dict[str, Any], said: str) -> None:
        resources = [{**RESOURCES["resources"][1], **entry}, *RESOURCES["resources"]]  # type: ignore[dict-item]
        found = judge.discovery(read({**RESOURCES, "resources": resources}))
        assert (found.verdict, found.summary) == (Verdict.FAIL, said)

    @pytest.mark.parametrize("resources", [[], None, {"pods": {}}])
    def test_discovery_without_resources_fails(self, resources: Any) -> None:
        found = judge.discovery(read({**RESOURCES, "resources": resources}, path="/apis/x"))
        assert found.verdict is Verdict.FAIL
        assert found.summary.startswith("/apis/x lists no resources")

    def test_a_resource_that_is_advertised_and_does_not_answer_fails(self) -> None:
        found = judge.discovery(read(RESOURCES), [read({}, 404, "/apis/x/pods")])
        assert (found.verdict, found.summary) == (
            Verdict.FAIL,
            "/apis/x/pods is advertised but answered 404",
        )

    @pytest.mark.parametrize(
        ("kind", "status", "verdict"),
        [
            ("jobs", 404, Verdict.FAIL),
            ("jobs", 500, Verdict.PASS),
            ("services", 500, Verdict.FAIL),
            ("jobs", 200, Verdict.PASS),
        ],
    )
    def test_a_kind_without_traffic_may_be_answered_with_an_error_but_is_there(
        self, kind: str, status: int, verdict: Verdict
    ) -> None:
        answers = self.answered(read({}, status, f"/apis/x/{kind}"))
        assert judge.discovery(self.offering(kind), answers).verdict is verdict

    def test_a_kind_that_was_not_tried_is_inconclusive(self) -> None:
        found = judge.discovery(self.offering("jobs"), self.answered())
        assert (found.verdict, found.summary) == (Verdict.INCONCLUSIVE, "not tried: jobs")

    def test_an_api_without_the_least_of_kinds_fails(self) -> None:
        fewer = {**RESOURCES, "resources": RESOURCES["resources"][1:2]}
        found = judge.discovery(read(fewer), [read(metrics_list(), path="/pods")])
        assert (found.verdict, found.summary) == (Verdict.FAIL, "deployments, namespaces not offered")

    def test_what_is_advertised_is_read_from_any_document(self) -> None:
        assert advertised(self.offering("jobs")) == ["deployments", "jobs", "namespaces", "pods"]
        assert {kind for body in HOSTILE for kind in advertised(read(body))} == {"pods"}


class TestObjectFields:
    def test_complete_objects_pass(self) -> None:
        found = judge.object_fields([read(metrics()), read(metrics_list(metrics(), metrics()))])
        assert found.verdict is Verdict.PASS
        assert found.summary == "3 objects of 2 answers are complete"

    def test_no_object_is_inconclusive(self) -> None:
        assert judge.object_fields([]).verdict is Verdict.INCONCLUSIVE
        assert judge.object_fields([read(metrics_list())]).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (metrics(successes=80.0), "metrics: success_count is 80.0: not a Kubernetes quantity, which is"),
            (metrics(p50="NaN"), "metrics: p50_response_latency is 'NaN': not a Kubernetes quantity"),
            (metrics(unit=""), "p99_response_latency has the unit '', not a unit of time such as 'seconds'"),
            (changed(metrics(), "edge.side", ""), "edge.side is '', not client or server"),
            (changed(metrics(), "edge", {"direction": "to", "side": "client"}), "edge has no resource"),
            (
                changed(metrics(), "timestamp", "yesterday"),
                "timestamp is 'yesterday', not a time of RFC 3339",
            ),
            (changed(metrics(), "window", "0s"), "window is '0s', not a length of time"),
            (changed(metrics(), "window", 30), "window is 30: not a duration"),
            (
                changed(metrics(), "kind", "Metrics"),
                "answered an object of kind 'Metrics', not TrafficMetrics",
            ),
            (changed(metrics(), "metrics", metrics()["metrics"][1:]), "metrics lacks p99_response_latency"),
            (
                changed(metrics(), "metrics", [*metrics()["metrics"], {"name": "success_count"}]),
                "metrics has 'success_count' twice",
            ),
            (changed(metrics(), "resource", {"kind": "Pod"}), "resource names no object in 0"),
        ],
    )
    def test_the_error_is_reported(self, body: dict[str, Any], said: str) -> None:
        found = judge.object_fields([read(body)])
        assert found.verdict is Verdict.FAIL
        assert said in found.summary

    def test_a_count_with_a_unit_fails(self) -> None:
        entries = [{**entry, "unit": "seconds"} for entry in metrics()["metrics"]]
        found = judge.object_fields([read(changed(metrics(), "metrics", entries))])
        assert "success_count is a count, but has the unit 'seconds'" in found.summary

    def test_an_empty_edge_resource_that_go_writes_as_null_passes(self) -> None:
        assert judge.object_fields([read(changed(metrics(), "edge.resource", None))]).passed

    def test_only_cluster_scoped_objects_have_no_namespace(self) -> None:
        bare = {"name": "arena"}
        for kind, passes in (("Namespace", True), ("Node", True), ("Deployment", False)):
            body = changed(metrics(), "resource", {**bare, "kind": kind})
            assert judge.object_fields([read(body)]).passed is passes

    def test_milliseconds_and_integers_pass(self) -> None:
        assert judge.object_fields([read(metrics(unit="ms", successes=100))]).passed


class TestCounts:
    """80 of 100 requests in the last 10 seconds of 30 succeeded."""

    @staticmethod
    def judged(body: Any, *, baseline: ApiRead = NOTHING, later: ApiRead | None = GONE) -> Judgement:
        return counts(baseline, read(body), later, succeeded=240, failed=60, seconds=30)

    def test_counts_of_the_window_pass(self) -> None:
        found = self.judged(metrics())
        assert found.verdict is Verdict.PASS
        assert found.summary == "success_count 80 of 80, failure_count 20 of 20 in a window of 10 s"
        assert found.expected == (
            "success_count 80 and failure_count 20 in a window of 10 s, each within 10 % or 2 requests"
        )

    def test_extrapolated_fractions_pass(self) -> None:
        assert self.judged(metrics(successes="76493m", failures="21800m")).passed

    @pytest.mark.parametrize(
        ("body", "summary", "hint"),
        [
            (
                metrics(successes="8", failures="2"),
                "success_count is 8 where 80 were sent in the window; "
                "failure_count is 2 where 20 were sent in the window",
                "the figures look like rates per second",
            ),
            (
                metrics(successes="240", failures="60"),
                "success_count is 240 where 80 were sent in the window; "
                "failure_count is 60 where 20 were sent in the window",
                "the figures look like totals since the load began",
            ),
            (
                metrics(successes="100", failures="0"),
                "success_count is 100 where 80 were sent in the window; "
                "failure_count is 0 where 20 were sent in the window",
                "failed requests seem to be counted as successes",
            ),
        ],
        ids=["rates", "totals", "all successes"],
    )
    def test_wrong_figures_fail_with_what_they_look_like(self, body: Any, summary: str, hint: str) -> None:
        found = self.judged(body)
        assert (found.verdict, found.summary, found.hint) == (Verdict.FAIL, summary, hint)

    def test_counts_within_tolerance_keep_the_ratio_within_five_points(self) -> None:
        ratios = [
            abs(failures * off / (failures * off + (1 - failures) * (2 - off)) - failures)
            for failures in (part / 100 for part in range(101))
            for off in (1 - TOLERANCE, 1 + TOLERANCE)
        ]
        assert max(ratios) == pytest.approx(0.05, abs=0.001)

    @pytest.mark.parametrize(
        ("successes", "passes"), [("72", True), ("88", True), ("71", False), ("89", False)]
    )
    def test_the_edges_of_the_tolerance_are_inside(self, successes: str, passes: bool) -> None:
        assert self.judged(metrics(successes=successes)).passed is passes

    def test_a_window_longer_than_the_load_holds_all_of_it(self) -> None:
        shown = read(metrics(window="30s"))
        assert counts(NOTHING, shown, GONE, succeeded=80, failed=20, seconds=10).passed

    @pytest.mark.parametrize(
        ("successes", "failures", "verdict"),
        [
            (300, 100, Verdict.PASS),
            (600, 200, Verdict.FAIL),
            (100, 300, Verdict.FAIL),
            (400, 0, Verdict.FAIL),
            (0, 0, Verdict.FAIL),
            (320, 80, Verdict.FAIL),
            (30, 10, Verdict.FAIL),
        ],
        ids=["exact", "twice", "swapped", "no failures", "nothing", "of another object", "rates"],
    )
    def test_a_burst_within_the_window_is_counted_as_it_was_sent(
        self, successes: int, failures: int, verdict: Verdict
    ) -> None:
        shown = read(metrics(successes=str(successes), failures=str(failures)))
        assert counts(NOTHING, shown, GONE, 300, 100, seconds=2).verdict is verdict

    def test_requests_counted_twice_get_a_hint(self) -> None:
        found = counts(NOTHING, read(metrics(successes="600", failures="200")), GONE, 300, 100, 2)
        assert found.hint == (
            "the requests seem to be counted twice: at both ends, or on their way in and out"
        )

    def test_of_a_load_that_is_longer_than_the_window_its_part_is_due(self) -> None:
        shown = read(metrics(successes="150", failures="50", window="1s"))
        assert counts(NOTHING, shown, GONE, 300, 100, seconds=2).passed

    def test_traffic_without_failures_shows_none(self) -> None:
        shown = read(metrics(successes="100", failures="0"))
        assert counts(NOTHING, shown, GONE, succeeded=100, failed=0, seconds=10).passed
        some = read(metrics(successes="97", failures="3"))
        assert not counts(NOTHING, some, GONE, succeeded=100, failed=0, seconds=10).passed

    def test_too_few_failures_to_mean_something_are_inconclusive(self) -> None:
        shown = read(metrics(successes="97", failures="3"))
        found = counts(NOTHING, shown, GONE, succeeded=97, failed=3, seconds=10)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == (
            "too few requests for a window of 10 s to be judged by (success_count 97, failure_count 3)"
        )

    def test_counts_that_do_not_fall_fail(self) -> None:
        found = self.judged(metrics(), later=read(metrics()))
        assert found.verdict is Verdict.FAIL
        assert found.summary == (
            "after the traffic stopped and the window passed, 100 requests are still shown (100 before)"
        )

    @pytest.mark.parametrize(
        "idle", [NOTHING, ERROR, GONE, read(metrics_list())], ids=["404", "500", "zeros", "empty list"]
    )
    def test_idle_objects_may_look_as_they_like(self, idle: ApiRead) -> None:
        assert self.judged(metrics(), baseline=idle, later=idle).passed

    def test_counts_that_were_shown_before_are_inconclusive(self) -> None:
        found = self.judged(metrics(), baseline=read(metrics()))
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == (
            "indistinguishable from earlier traffic: 100 requests were shown before any was sent"
        )

    def test_a_load_that_does_not_outlast_the_window_is_inconclusive_when_nothing_was_read_after_it(
        self,
    ) -> None:
        found = counts(NOTHING, read(metrics()), None, succeeded=80, failed=20, seconds=10)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary.startswith("indistinguishable from totals")
        assert counts(NOTHING, read(metrics()), GONE, succeeded=80, failed=20, seconds=10).passed

    def test_a_window_too_short_to_hold_requests_is_inconclusive(self) -> None:
        found = self.judged(metrics(successes="0", failures="0", window="1ms"))
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "too few requests for a window of 0.001 s" in found.summary

    @pytest.mark.parametrize(("succeeded", "seconds"), [(0, 10.0), (100, 0.0)])
    def test_no_traffic_is_inconclusive(self, succeeded: int, seconds: float) -> None:
        found = counts(NOTHING, read(metrics()), GONE, succeeded, 0, seconds)
        assert found.verdict is Verdict.INCONCLUSIVE

    def test_counts_that_are_shown_now_and_then_fail(self) -> None:
        load = traffic({"mid": 300}), traffic({"mid": 100}, statuses={"500": 100})
        whole = read(metrics(successes="300", failures="100"))
        half = read(metrics(successes="150", failures="50"))
        assert judge.request_counts(NOTHING, whole, GONE, *load, 2, [whole, whole]).passed
        found = judge.request_counts(NOTHING, whole, GONE, *load, 2, [whole, half, whole, half])
        assert (found.verdict, found.summary) == (
            Verdict.FAIL,
            "2 of 4 reads afterwards are off: success_count is 150 where 300 were sent in the window, "
            "failure_count is 50 where 100 were sent in the window",
        )
        for broken in (ERROR, read(metrics_list()), read(metrics(successes="NaN"))):
            assert (
                judge.request_counts(NOTHING, whole, GONE, *load, 2, [whole, broken]).verdict is Verdict.FAIL
            )

    @pytest.mark.parametrize(
        ("succeeded", "failed", "said"),
        [
            (
                traffic({"mid": 240}, failures={"reset": 60}),
                traffic({"mid": 100}, statuses={"500": 100}),
                "60 of 300 requests failed (reset 60)",
            ),
            (
                traffic({"mid": 300}),
                traffic({}, sent=100, statuses={"503": 100}),
                "100 of 100 requests failed (answered by no sample workload 100; status 503 100)",
            ),
            (
                traffic({"mid": 300}),
                traffic({"mid": 100}),
                "client-a → root:8080 GET /: answered with 200 100, not 500",
            ),
            (
                traffic({"mid": 300}, received={"mid": 299}),
                traffic({"mid": 100}, statuses={"500": 100}),
                "mid answered 300 of them, but its ledger holds 299",
            ),
        ],
        ids=["lost on the way", "answered by the mesh", "of another status", "ledger"],
    )
    def test_requests_with_another_outcome_than_expected_are_inconclusive(
        self, succeeded: Traffic, failed: Traffic, said: str
    ) -> None:
        for shown in (metrics(successes="300", failures="100"), metrics(successes="240", failures="0")):
            found = judge.request_counts(NOTHING, read(shown), GONE, succeeded, failed, seconds=2)
            assert found.verdict is Verdict.INCONCLUSIVE
            assert found.summary == f"the due counts are unknown: {said}"

    def test_a_list_in_place_of_an_object_fails(self) -> None:
        found = self.judged(metrics_list(metrics()))
        assert found.verdict is Verdict.FAIL
        assert "answered an object of kind 'TrafficMetricsList', not TrafficMetrics" in found.summary

    def test_a_server_error_fails_with_its_message(self) -> None:
        found = counts(NOTHING, read({"message": "no series"}, 500), None, 1, 1, 1.0)
        assert found.summary == "/apis/metrics.smi-spec.io/v1alpha1/x answered 500 ('no series')"


class TestPercentiles:
    expected: ClassVar = {"p50": (0.0, 50.0), "p90": (150.0, 260.0), "p99": (900.0, 1200.0)}

    def test_percentiles_by_value_and_unit_pass(self) -> None:
        found = judge.percentiles(read(metrics()), self.expected, NOTHING)
        assert found.verdict is Verdict.PASS
        assert found.summary == "p50 10 ms, p90 200 ms, p99 1,000 ms"
        assert judge.percentiles(
            read(metrics(p50="10", p90="200", p99="1k", unit="ms")), self.expected, None
        ).passed

    def test_a_wrong_unit_fails_with_the_factor(self) -> None:
        found = judge.percentiles(read(metrics(unit="ms")), {"p90": (150, 260), "p99": (900, 1200)}, None)
        assert found.verdict is Verdict.FAIL
        assert found.summary == (
            "p90 is 0.2 ms where 150 to 260 ms are expected; p99 is 1 ms where 900 to 1,200 ms are expected"
        )
        assert found.hint == "off by a factor of 1,000: the unit stated is not the unit measured in"

    def test_percentiles_that_cross_fail(self) -> None:
        found = judge.percentiles(read(metrics(p50="300m")), {"p90": (150, 260)}, None)
        assert found.verdict is Verdict.FAIL
        assert found.summary == "percentiles cross: p50, p90, p99 are 300, 200, 1,000 ms"

    def test_percentiles_of_nothing_fail(self) -> None:
        assert judge.percentiles(GONE, self.expected, None).verdict is Verdict.FAIL

    def test_percentiles_that_were_shown_before_are_inconclusive(self) -> None:
        found = judge.percentiles(read(metrics()), self.expected, read(metrics()))
        assert found.verdict is Verdict.INCONCLUSIVE

    def test_percentiles_of_earlier_and_other_traffic_are_a_null_control(self) -> None:
        assert judge.percentiles(read(metrics()), self.expected, read(metrics(p99="300m"))).passed
        assert judge.percentiles(read(metrics()), self.expected, GONE).passed
        assert judge.percentiles(read(metrics()), self.expected, ERROR).passed


def increase(at: float, window_s: float, every_s: float, counted: Callable[[float], float]) -> float:
    """Prometheus' ``increase()`` of a counter sampled every so often: stretched to the window's edges.

    The rule of its ``extrapolatedRate``: up to an edge that is nearer than 1.1 times the distance of the
    samples, half that distance otherwise, and never to where the counter would be below zero.
    """
    moments = [every_s * number for number in range(-100, 100)]
    inside = [moment for moment in moments if at - window_s <= moment <= at]
    first, last = inside[0], inside[-1]
    grown, sampled = counted(last) - counted(first), last - first
    apart = sampled / (len(inside) - 1)
    start, end = first - (at - window_s), at - last
    if grown > 0 and counted(first) >= 0:
        start = min(start, sampled * counted(first) / grown)
    edges = [gap if gap < 1.1 * apart else apart / 2 for gap in (start, end)]
    return grown * (sampled + sum(edges)) / sampled


class TestCountsThatAreExtrapolated:
    """The answer of a mesh that asks Prometheus for ``increase(...[30s])`` of counters scraped each 10 s."""

    def shown(self, at: float, counted: Callable[[float], float], times: float = 1) -> ApiRead:
        total = times * increase(at, 30, 10, counted)
        parts = {"successes": 0.75 * total, "failures": 0.25 * total}
        return read(metrics(window="30s", **{name: f"{round(1000 * part)}m" for name, part in parts.items()}))

    def test_a_burst_does_not_show_its_counts(self) -> None:
        shown = self.shown(24, lambda moment: 1000 + 400 * min(max(moment - 3, 0) / 2, 1))
        found = counts(NOTHING, shown, GONE, 300, 100, seconds=2)
        assert found.verdict is Verdict.FAIL
        assert found.summary.startswith("success_count is 450 where 300 were sent in the window")

    @pytest.mark.parametrize("at", [61, 64, 67, 69.9])
    def test_a_load_that_fills_the_window_does(self, at: float) -> None:
        def steady(moment: float) -> float:
            return 1000 + 40 * max(moment, 0)

        load = {"succeeded": round(30 * at), "failed": round(10 * at), "seconds": at}
        assert counts(NOTHING, self.shown(at, steady), GONE, **load).passed  # type: ignore[arg-type]
        for times in (0, 0.5, 1 / 30, 1.5, 2):
            wrong = self.shown(at, steady, times)
            found = counts(NOTHING, wrong, GONE, **load)  # type: ignore[arg-type]
            assert found.verdict is Verdict.FAIL


BUCKETS: dict[str, tuple[int, ...]] = {
    "linkerd": (1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000, 4000, 5000),
    "envoy": (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000),
    "traefik": (100, 300, 1200, 5000),
    "prometheus": (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000),
    "opentelemetry": (5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000),
}
"""Upper edges of the buckets of latencies, in milliseconds; docs/verdicts.md gives the sources."""


def histogram_quantile(part: float, latencies: Sequence[float], edges: Sequence[int]) -> float:
    """Prometheus' quantile of latencies in buckets: linear within a bucket."""
    rank, below = part * len(latencies), 0
    for low, high in pairwise((0, *edges)):
        inside = sum(1 for one in latencies if low < one <= high)
        if inside and below + inside >= rank:
            return low + (high - low) * (rank - below) / inside
        below += inside
    raise AssertionError("no bucket is that wide")


class TestPercentilesOfTheChain:
    """The figures of other meshes for the scenario's load, within its own bounds."""

    @staticmethod
    def latencies(overhead_ms: float) -> list[float]:
        counts = (metrics_load.AT_ONCE, metrics_load.DELAYED, metrics_load.SLOW)
        sent = zip(counts, (0, *DELAYS_MS), strict=True)
        return [delay + overhead_ms for count, delay in sent for _ in range(count)]

    @staticmethod
    def judged(p50: float, p90: float, p99: float, unit: str = "ms") -> Judgement:
        values = [f"{round(value * 1000)}m" for value in (p50, p90, p99)]
        body = metrics(p50=values[0], p90=values[1], p99=values[2], unit=unit)
        return judge.percentiles(read(body), EXPECTED_MS, NOTHING)

    @pytest.mark.parametrize("overhead_ms", [0.5, 5, 40, 90])
    @pytest.mark.parametrize("edges", BUCKETS.values(), ids=BUCKETS)
    def test_what_prometheus_makes_of_their_histograms_passes(
        self, edges: Sequence[int], overhead_ms: float
    ) -> None:
        latencies = self.latencies(overhead_ms)
        found = self.judged(*(histogram_quantile(part, latencies, edges) for part in (0.5, 0.9, 0.99)))
        assert found.passed, found.summary

    @pytest.mark.parametrize("edges", BUCKETS.values(), ids=BUCKETS)
    def test_wrong_figures_fail(self, edges: Sequence[int]) -> None:
        latencies = self.latencies(5)
        mean = sum(latencies) / len(latencies)
        p50, p90, p99 = (histogram_quantile(part, latencies, edges) for part in (0.5, 0.9, 0.99))
        assert self.judged(p50, p90, p99).passed
        wrong = [
            (mean, mean, mean),
            (p50, mean, p99),
            (p50, p90, mean),
            (p50, p50, p50),
            (p99, p99, p99),
            (p90, p50, p99),
            (p50, p99, p90),
            (p99, p90, p50),
            (0, 0, 0),
        ]
        assert [figures for figures in wrong if self.judged(*figures).verdict is not Verdict.FAIL] == []
        for unit in ("seconds", "us"):
            assert self.judged(p50, p90, p99, unit).verdict is Verdict.FAIL


class TestEdges:
    calls = (("client", "mid"), ("mid", "server"))

    @staticmethod
    def edges(name: str, *items: dict[str, Any]) -> ApiRead:
        return read(metrics_list(*items, resource=reference(name)))

    def reads(self) -> dict[str, ApiRead]:
        return {
            "client": self.edges("client", metrics("client", direction="to", peer="mid")),
            "mid": self.edges(
                "mid",
                metrics("mid", direction="to", peer="server"),
                metrics("mid", direction="from", peer="client"),
            ),
            "server": self.edges("server", metrics("server", direction="from", peer="mid")),
        }

    def judged(self, reads: dict[str, ApiRead], **more: Any) -> Judgement:
        baseline = more.pop("baseline", {"client": NOTHING, "mid": NOTHING, "server": NOTHING})
        return judge.traffic_edges(baseline, reads, self.calls, "arena", bystanders=["idle"], **more)

    def test_the_chain_passes(self) -> None:
        found = self.judged(self.reads(), addressed=NOTHING)
        assert found.verdict is Verdict.PASS
        assert found.summary == (
            "4 edges shown, no other: client to mid, mid from client, mid to server, server from mid"
        )

    def test_inverted_directions_fail(self) -> None:
        inverted = self.edges("server", metrics("server", direction="to", peer="mid"))
        found = self.judged({**self.reads(), "server": inverted})
        assert found.verdict is Verdict.FAIL
        assert found.summary == (
            "edges are missing: server from mid; edges are shown without a call: server to mid"
        )

    def test_an_edge_to_a_bystander_fails(self) -> None:
        more = self.edges(
            "server",
            metrics("server", direction="from", peer="mid"),
            metrics("server", direction="to", peer="idle"),
        )
        found = self.judged({**self.reads(), "server": more})
        assert found.summary == "edges are shown without a call: server to idle"

    def test_foreign_traffic_is_ignored(self) -> None:
        more = self.edges(
            "server",
            metrics("server", direction="from", peer="mid"),
            metrics("server", direction="from", peer="prometheus"),
        )
        assert self.judged({**self.reads(), "server": more}).passed

    def test_peers_may_be_pods(self) -> None:
        pod = reference("mid-7d4f-x2x", "Pod")
        pods = self.edges("server", changed(metrics("server"), "edge.resource", pod))
        reads = {**self.reads(), "server": pods}
        assert self.judged(reads, aliases={"mid-7d4f-x2x": "mid"}).passed
        assert not self.judged(reads).passed

    def test_peers_may_be_services(self) -> None:
        service = changed(metrics("server"), "edge.resource", reference("mid", "Service"))
        assert self.judged({**self.reads(), "server": self.edges("server", service)}).passed

    @pytest.mark.parametrize(
        ("kind", "namespace"),
        [("ConfigMap", "arena"), ("Deployment", "elsewhere"), ("Deployment", ""), ("", "arena")],
    )
    def test_a_peer_of_another_kind_or_namespace_is_not_the_one_that_is_due(
        self, kind: str, namespace: str
    ) -> None:
        foreign = changed(metrics("server"), "edge.resource", reference("mid", kind, namespace))
        found = self.judged({**self.reads(), "server": self.edges("server", foreign)})
        assert found.verdict is Verdict.FAIL
        said = "edges are missing: server from mid (of another kind or namespace: "
        assert found.summary.startswith(said)

    @pytest.mark.parametrize(("kind", "namespace"), [("Node", "arena"), ("Deployment", "elsewhere")])
    def test_a_resource_of_another_kind_or_namespace_fails(self, kind: str, namespace: str) -> None:
        other = reference("server", kind, namespace)
        item = changed(metrics("server", direction="from", peer="mid"), "resource", other)
        found = self.judged({**self.reads(), "server": read(metrics_list(item, resource=other))})
        assert found.verdict is Verdict.FAIL
        assert f"the list of server's edges has resource {kind} {namespace}/server, not" in found.summary

    def test_a_swapped_resource_fails(self) -> None:
        swapped = self.edges("server", metrics("mid", direction="from", peer="server"))
        found = self.judged({**self.reads(), "server": swapped})
        assert found.verdict is Verdict.FAIL
        assert "items[0] of server has resource Deployment arena/mid, swapped with" in found.summary

    def test_an_edge_without_a_peer_fails(self) -> None:
        bare = self.edges("server", metrics("server", direction="from"))
        found = self.judged({**self.reads(), "server": bare})
        assert "items[0] of server names no peer in edge.resource" in found.summary

    @pytest.mark.parametrize("peer", [{"namespace": "kube-system"}, {"kind": "Pod"}])
    def test_a_general_edge_is_left_alone(self, peer: dict[str, str]) -> None:
        general = changed(metrics("server", direction="from"), "edge.resource", peer)
        more = self.edges("server", metrics("server", direction="from", peer="mid"), general)
        assert self.judged({**self.reads(), "server": more}).passed

    def test_a_general_edge_does_not_stand_for_the_one_that_is_due(self) -> None:
        general = changed(metrics("server", direction="from"), "edge.resource", {"namespace": "arena"})
        found = self.judged({**self.reads(), "server": self.edges("server", general)})
        assert (found.verdict, found.summary) == (Verdict.FAIL, "edges are missing: server from mid")

    def test_a_list_of_another_object_fails(self) -> None:
        other = {**self.reads(), "server": self.reads()["mid"]}
        assert self.judged(other).verdict is Verdict.FAIL

    def test_a_single_edge_that_can_be_addressed_fails(self) -> None:
        found = self.judged(self.reads(), addressed=read(metrics(), path="/pods/mid/edges/server"))
        assert found.summary == "/pods/mid/edges/server answered 200: single edges cannot be addressed"

    @pytest.mark.parametrize("status", [400, 403, 404, 405])
    def test_any_refusal_of_a_single_edge_will_do(self, status: int) -> None:
        assert self.judged(self.reads(), addressed=read({}, status)).passed

    def test_edges_that_were_there_before_any_call_are_inconclusive(self) -> None:
        found = self.judged(self.reads(), baseline=self.reads())
        assert found.verdict is Verdict.INCONCLUSIVE
        assert self.judged(self.reads(), baseline={}).verdict is Verdict.INCONCLUSIVE

    def test_one_edge_that_was_there_before_any_call_is_inconclusive(self) -> None:
        found = self.judged(self.reads(), baseline={"client": self.reads()["client"], "mid": NOTHING})
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == ("indistinguishable from configuration: shown before any call: client to mid")

    @pytest.mark.parametrize("idle", [NOTHING, ERROR], ids=["404", "500"])
    def test_idle_objects_may_look_as_they_like(self, idle: ApiRead) -> None:
        assert self.judged(self.reads(), baseline={"client": idle, "mid": idle, "server": idle}).passed

    def test_no_call_is_inconclusive(self) -> None:
        assert judge.traffic_edges({}, {}, [], "arena").verdict is Verdict.INCONCLUSIVE


class TestRbac:
    expected: ClassVar = {"edges of pods": 200, "pods": 403}

    def test_statuses_as_due_pass(self) -> None:
        found = judge.rbac({"edges of pods": read({}), "pods": read({}, 403)}, self.expected)
        assert (found.verdict, found.summary) == (
            Verdict.PASS,
            "all 2 cases answered as their rights say",
        )

    def test_an_answer_without_the_right_fails(self) -> None:
        found = judge.rbac({"edges of pods": read({}), "pods": read({}, 200, "/pods")}, self.expected)
        assert (found.verdict, found.summary) == (
            Verdict.FAIL,
            "pods (admin, /pods) answered 200, not 403",
        )

    def test_a_refusal_with_the_right_fails(self) -> None:
        reads = {"edges of pods": read({}, 403), "pods": read({}, 403)}
        assert judge.rbac(reads, self.expected).verdict is Verdict.FAIL

    @pytest.mark.parametrize("status", [200, 404, 500])
    def test_an_idle_object_may_be_answered_with_anything_but_a_refusal(self, status: int) -> None:
        reads = {"list": read({}), "edges": read({}, status), "edges of another": read({}, status)}
        expected = dict.fromkeys(reads, 200)
        idle = ["edges", "edges of another"]
        assert judge.rbac(reads, expected, idle).passed
        assert judge.rbac(reads, expected).passed is (status == 200)
        for wrong in (401, 403, 405):
            found = judge.rbac({**reads, "edges": read({}, wrong)}, expected, idle)
            assert found.verdict is Verdict.FAIL
        found = judge.rbac({**reads, "list": read({}, 503)}, expected, idle)
        assert found.verdict is Verdict.FAIL

    def test_idle_objects_alone_are_no_positive_control(self) -> None:
        reads = {"edges": read({}, 404), "pods": read({}, 403)}
        found = judge.rbac(reads, {"edges": 200, "pods": 403}, ["edges"])
        assert found.verdict is Verdict.INCONCLUSIVE

    def test_refusals_alone_are_inconclusive(self) -> None:
        found = judge.rbac({"pods": read({}, 403)}, {"pods": 403})
        assert (found.verdict, found.summary) == (
            Verdict.INCONCLUSIVE,
            "refusals without positive control",
        )

    def test_a_case_that_was_not_tried_is_inconclusive(self) -> None:
        assert judge.rbac({}, self.expected).summary == "not tried: edges of pods, pods"
        assert judge.rbac({}, {}).verdict is Verdict.INCONCLUSIVE

    def test_a_leak_fails_although_other_cases_were_not_tried(self) -> None:
        assert judge.rbac({"pods": read({})}, self.expected).verdict is Verdict.FAIL


JUDGED: dict[str, Callable[[ApiRead], Judgement]] = {
    "apiservice": lambda hostile: judge.apiservice(hostile, hostile),
    "discovery": lambda hostile: judge.discovery(hostile, [hostile]),
    "object_fields": lambda hostile: judge.object_fields([hostile]),
    "counts": lambda hostile: counts(hostile, hostile, hostile, 80, 20, 30.0),
    "counts before": lambda hostile: counts(hostile, read(metrics()), GONE, 80, 20, 10.0),
    "percentiles": lambda hostile: judge.percentiles(hostile, {"p50": (0, 1)}, hostile),
    "edges": lambda hostile: judge.traffic_edges(
        {"a": hostile}, {"a": hostile}, [("a", "b")], "arena", (), {}, hostile
    ),
}


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", JUDGED)
def test_no_body_is_passed_or_stumbled_over(name: str, hostile: Any) -> None:
    found = JUDGED[name](read(hostile))
    assert not found.passed
    assert found.summary.isprintable()
    assert len(found.summary) < 2000

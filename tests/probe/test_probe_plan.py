from __future__ import annotations

from typing import Any

import pytest

from conformance.probe.plan import PlanError, read_plan

BATCH = {"id": "b", "host": "v1", "port": 8080, "requests": 10}


def read(**changes: Any) -> Any:
    return read_plan({"batches": [{**BATCH, **changes}]}).batches[0]


def test_a_plan_has_defaults() -> None:
    plan = read_plan({"batches": [BATCH]})
    assert (plan.parallel, plan.deadline_s) == (False, 60.0)
    (batch,) = plan.batches
    assert (batch.protocol, batch.method, batch.path, batch.per_connection) == ("http", "GET", "/", None)


def test_a_rate_is_not_limited_by_a_number() -> None:
    batch = read(rate_per_s=50, duration_s=2)
    assert (batch.requests, batch.duration_s, batch.interval_s) == (None, 2.0, 0.02)


def test_a_number_over_a_duration_is_spread() -> None:
    assert read(requests=10, duration_s=5).interval_s == 0.5


def test_fresh_is_one_request_for_each_connection() -> None:
    assert read(connections="fresh", per_connection=5).per_connection == 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"id": ""}, "id of a batch must be an ASCII word"),
        ({"id": "a b"}, "id of a batch must be an ASCII word"),
        ({"host": "a\r\nb"}, "host must be an ASCII word"),
        ({"host": None}, "host must be an ASCII word"),
        ({"port": 0}, "port must be a number from 1 to 65535"),
        ({"port": True}, "port must be a number"),
        ({"requests": 200_001}, "requests must be a number from 1 to 200000"),
        ({"concurrency": 1025}, "concurrency must be a number from 1 to 1024"),
        ({"connections": "some"}, "reuse, fresh or one"),
        ({"per_connection": 0}, "per_connection"),
        ({"protocol": "smtp"}, "protocol must be one of http, http2, grpc, tcp, udp"),
        ({"protocol": "grpc", "method": "GET"}, "the method of grpc must be POST"),
        ({"method": "GET /"}, "method must be an ASCII word"),
        ({"path": "/a b"}, "path must be an ASCII word"),
        ({"headers": {"a": 1}}, "of strings"),
        ({"headers": {"a\r\nb": "1"}}, "is not a valid header"),
        ({"headers": {"a": "1\r\nb: 2"}}, "is not a valid header"),
        ({"headers": {"a": "é"}}, "not ASCII"),
        ({"headers": "a: b"}, "of strings"),
        ({"body": 5}, "body must be a string"),
        ({"protocol": "tcp", "body": "a\nb"}, "must be one line"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"rate_per_s": -1}, "rate_per_s"),
        ({"rate_per_s": 1000, "duration_s": 1000}, "more than 200000 requests"),
        ({"requests": None}, "batch b has no end"),
        ({"rate_per_s": 5}, "batch b has no end"),
        ({"until": "dawn"}, "until must be 'others'"),
        ({"until": "others"}, "a rate, not a number of requests"),
        ({"until": "others", "requests": None, "rate_per_s": 5}, "no other batches to follow"),
        ({"retries": 3}, "has no field 'retries'"),
    ],
)
def test_an_invalid_batch_is_rejected(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        read(**changes)


FOLLOWING = {**BATCH, "id": "f", "requests": None, "rate_per_s": 5, "until": "others"}


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (None, "the plan must be a JSON object"),
        ({"batches": []}, "a list of batches"),
        ({"batches": ["b"]}, "a batch must be a JSON object"),
        ({"batches": [BATCH, BATCH]}, "the same id"),
        ({"batches": [{**BATCH, "id": str(n), "requests": 150_000} for n in range(2)]}, "more than 200000"),
        ({"batches": [BATCH], "deadline_s": 0}, "deadline_s"),
        ({"batches": [BATCH], "retry": True}, "has no field 'retry'"),
        ({"batches": [BATCH, FOLLOWING]}, "batch f has no other batches to follow"),
        ({"batches": [FOLLOWING], "parallel": True}, "batch f has no other batches to follow"),
    ],
)
def test_an_invalid_plan_is_rejected(plan: Any, complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        read_plan(plan)


def test_only_background_traffic_may_be_endless() -> None:
    (batch,) = read_plan({"batches": [{**BATCH, "rate_per_s": 5}]}, bounded=False).batches
    assert (batch.requests, batch.duration_s) == (None, None)


def test_a_batch_that_follows_others_needs_no_end() -> None:
    plan = read_plan({"batches": [BATCH, FOLLOWING], "parallel": True})
    assert [one.until_others for one in plan.batches] == [False, True]


@pytest.mark.parametrize(
    ("looks", "complaint"),
    [
        (5, "looks must be a list"),
        ([[100]], "looks must be a list"),
        ([[100, [[["v1"], 1]]]], "looks must be a list"),
        ([["100", []]], "looks must have numbers of requests"),
        ([[100, [[["v1"], 1, 5, "0", 9]]]], "looks must have numbers of requests"),
        ([[200, []], [100, []]], "more requests than the one before it"),
        ([[100, []], [100, []]], "more requests than the one before it"),
    ],
)
def test_invalid_looks_are_rejected(looks: Any, complaint: str) -> None:
    one = {"id": "b", "host": "h", "port": 1, "requests": 500, "looks": looks}
    with pytest.raises(PlanError, match=f"batch b: .*{complaint}"):
        read_plan({"batches": [one]})


def test_a_plan_has_the_looks_at_a_batch() -> None:
    one = {
        "id": "b",
        "host": "h",
        "port": 1,
        "requests": 500,
        "looks": [[100, [[["v1", "v2"], 70, 90, 5, 99]]]],
    }
    (batch,) = read_plan({"batches": [one]}).batches
    assert batch.looks == ((100, ((("v1", "v2"), 70, 90, 5, 99),)),)

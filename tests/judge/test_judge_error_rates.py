"""Error rates of backends: pass, fail, inconclusive, hostile bodies, and their messages."""

from __future__ import annotations

from typing import Any

import pytest
from judge_evidence import HOSTILE, metrics, read, traffic

from conformance import judge
from conformance.model.evidence import ApiRead, Traffic
from conformance.model.verdict import Judgement, Verdict

RATES = {"old": 0.0, "new": 0.5}
NONE = {name: read({"kind": "Status"}, 404) for name in RATES}
PLAIN = traffic({"old": 250, "new": 250})
FAILING = traffic({"old": 250, "new": 250}, statuses={"200": 250, "500": 250})


def shown(old: tuple[int, int], new: tuple[int, int]) -> dict[str, ApiRead]:
    """Successes and failures that each backend shows."""
    return {
        name: read(metrics(name, successes=str(successes), failures=str(failures)))
        for name, (successes, failures) in {"old": old, "new": new}.items()
    }


def judged(
    reads: dict[str, ApiRead], *sent: Traffic, baseline: dict[str, ApiRead] | None = None
) -> Judgement:
    return judge.error_rates(baseline or NONE, reads, RATES, sent or (PLAIN, FAILING))


def test_the_failing_backend_is_identified() -> None:
    found = judged(shown((500, 0), (240, 260)))
    assert found.verdict is Verdict.PASS
    assert found.summary == "old fails in 0 of 500 requests; new fails in 260 of 500 requests"
    assert found.expected == (
        "old fails in 0 % of its requests, within 10 points; "
        "new fails in 50 % of its requests, within 10 points"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ((500, 0), (500, 0), "new is shown to fail in 0 % of its requests, not 50 %"),
        ((375, 125), (375, 125), "old is shown to fail in 25 % of its requests, not 0 %"),
        ((250, 250), (500, 0), "old is shown to fail in 50 % of its requests, not 0 %"),
        ((500, 0), (195, 305), "new is shown to fail in 61 % of its requests, not 50 %"),
        ((500, 0), (0, 0), "new shows 0 requests"),
        ((99, 0), (250, 250), "old shows 99 requests"),
    ],
    ids=["lost", "spread over both", "swapped", "too many", "left out", "too few"],
)
def test_wrong_counts_fail(old: tuple[int, int], new: tuple[int, int], said: str) -> None:
    found = judged(shown(old, new))
    assert found.verdict is Verdict.FAIL
    assert said in found.summary


def test_of_few_requests_chance_is_allowed_for() -> None:
    assert judged(shown((100, 0), (31, 69))).passed
    assert not judged(shown((100, 0), (29, 71))).passed


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ((traffic({"old": 500}), traffic({"old": 500})), "new answered less than 100 requests"),
        ((PLAIN, traffic({"old": 250, "new": 250}, failures={"reset": 3})), "reset"),
        ((PLAIN, traffic({"old": 250, "new": 250, "other": 20})), "other"),
        ((PLAIN, PLAIN), "0 requests failed where 250 should have"),
    ],
    ids=["no split", "lost requests", "others", "nothing fails"],
)
def test_where_the_traffic_was_otherwise_the_metrics_have_no_part_in_it(
    sent: tuple[Traffic, ...], said: str
) -> None:
    found = judged(shown((500, 0), (250, 250)), *sent)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert said in found.summary


def test_what_was_shown_beforehand_proves_nothing() -> None:
    reads = shown((500, 0), (250, 250))
    found = judged(reads, baseline=reads)
    assert (found.verdict, found.summary) == (
        Verdict.INCONCLUSIVE,
        "old and new showed requests before any were sent",
    )


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_answers_fail(body: Any) -> None:
    assert judged({**shown((500, 0), (250, 250)), "new": read(body)}).verdict is Verdict.FAIL

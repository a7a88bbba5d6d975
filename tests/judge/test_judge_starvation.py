"""A starved machine makes a failure inconclusive, and nothing else."""

from __future__ import annotations

import pytest
from judge_evidence import silence, traffic

from conformance import judge
from conformance.model.evidence import Environment
from conformance.model.verdict import Judgement, Verdict

GOOD, BAD = judge.no_request_failed(traffic({"v1": 5})), judge.no_request_failed(silence(3))
CALM = Environment(control_p99_us=500_000)
SLOW, BROKEN = Environment(control_p99_us=500_001), Environment(control_failures=1)


@pytest.mark.parametrize("environment", [SLOW, BROKEN], ids=["slow", "broken"])
def test_a_failure_on_a_starved_machine_is_inconclusive(environment: Environment) -> None:
    found = judge.discount_if_starved(BAD, environment)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary.startswith("3 of 3 requests failed (reset 3); but the machine was starved")


@pytest.mark.parametrize(
    ("judgement", "environment"),
    [(BAD, CALM), (GOOD, SLOW), (judge.not_claimed("udp"), SLOW)],
    ids=["calm", "passed", "not claimed"],
)
def test_every_other_judgement_stays(judgement: Judgement, environment: Environment) -> None:
    assert judge.discount_if_starved(judgement, environment) == judgement

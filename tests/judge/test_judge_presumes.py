"""A failure beside the failure of a presumed requirement is inconclusive; a pass stays a pass."""

from __future__ import annotations

import pytest
from judge_evidence import silence, traffic

from conformance import judge
from conformance.model.verdict import Judgement, Verdict

GOOD, BAD = judge.no_request_failed(traffic({"v1": 5})), judge.no_request_failed(silence(3))


def test_a_failure_is_inconclusive_and_tells_what_was_seen_and_what_to_mend() -> None:
    found = judge.presumes(BAD, "split-single-backend", "nobody answered")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary == f"stands on split-single-backend, which failed; seen here: {BAD.summary}"
    assert found.hint == "mend that first: nobody answered"


@pytest.mark.parametrize(
    "judgement", [GOOD, judge.inconclusive("no pod was ready"), judge.not_claimed("udp")]
)
def test_every_other_judgement_stays(judgement: Judgement) -> None:
    assert judge.presumes(judgement, "split-single-backend", "nobody answered") == judgement

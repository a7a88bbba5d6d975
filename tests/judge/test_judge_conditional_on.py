"""A judgement counts only if its control passed; otherwise it is inconclusive."""

from __future__ import annotations

import pytest

from conformance import judge
from conformance.model.verdict import Judgement, Verdict

PASS = Judgement(Verdict.PASS, "as it should be")
FAIL = Judgement(Verdict.FAIL, "late", hint="see the log")
UNSEEN = judge.inconclusive("nothing was sent")


@pytest.mark.parametrize("judgement", [PASS, FAIL, UNSEEN])
def test_a_judgement_stands_where_its_control_passed(judgement: Judgement) -> None:
    given = judge.conditional_on(PASS, judgement, "nothing to compare with")
    assert (given.verdict, given.summary, given.hint) == (
        judgement.verdict,
        judgement.summary,
        judgement.hint,
    )
    assert given.basis is not None
    assert given.basis.judge == "conditional_on"


@pytest.mark.parametrize("judgement", [PASS, FAIL, UNSEEN])
@pytest.mark.parametrize("control", [FAIL, UNSEEN])
def test_nothing_is_concluded_where_the_control_did_not_pass(
    control: Judgement, judgement: Judgement
) -> None:
    given = judge.conditional_on(control, judgement, "nothing to compare with")
    assert given.verdict is Verdict.INCONCLUSIVE
    assert given.summary == f"nothing to compare with: {control.summary}"
    assert given.hint == control.hint

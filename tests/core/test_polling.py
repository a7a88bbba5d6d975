"""What a poll says of what is waited for."""

from __future__ import annotations

import pytest

from conformance.drive.polling import PollResult, classify_poll
from conformance.model.evidence import Call, Traffic

CALL = Call("main/client", "root", 8080, 60)


def seen(sent: int, failures: int = 0, **answered: int) -> Traffic:
    return Traffic(CALL, sent, answered, {}, {}, {"timeout": failures} if failures else {}, {})


@pytest.mark.parametrize(
    ("traffic", "found"),
    [
        (seen(60, v1=40, v2=20), PollResult.SATISFIED),
        (seen(60, v1=60), PollResult.INSUFFICIENT),
        (seen(60, v2=60), PollResult.SATISFIED),
        (seen(60, v2=59, v3=1), PollResult.CONTRADICTED),
        (seen(60, v1=30, v3=30), PollResult.CONTRADICTED),
        (seen(60, v2=59), PollResult.CONTRADICTED),
        (seen(60, failures=1, v2=60), PollResult.CONTRADICTED),
        (seen(60), PollResult.CONTRADICTED),
    ],
)
def test_of_two_that_may_answer_one_must(traffic: Traffic, found: PollResult) -> None:
    assert classify_poll(traffic, only={"v1", "v2"}, all_of={"v2"}) is found


def test_anybody_may_answer_unless_it_is_said_who() -> None:
    assert classify_poll(seen(60, v9=60)) is PollResult.SATISFIED
    assert classify_poll(seen(60, v9=60), all_of={"v1"}) is PollResult.INSUFFICIENT
    assert classify_poll(seen(60, v9=1)) is PollResult.CONTRADICTED

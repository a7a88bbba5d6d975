"""What a poll says of what is waited for."""

from __future__ import annotations

import pytest

from conformance.drive.polling import Sight, sight
from conformance.model.evidence import Call, Traffic

CALL = Call("main/client", "root", 8080, 60)


def seen(sent: int, failures: int = 0, **answered: int) -> Traffic:
    return Traffic(CALL, sent, answered, {}, {}, {"timeout": failures} if failures else {}, {})


@pytest.mark.parametrize(
    ("traffic", "found"),
    [
        (seen(60, v1=40, v2=20), Sight.THERE),
        (seen(60, v1=60), Sight.UNSEEN),
        (seen(60, v2=60), Sight.THERE),
        (seen(60, v2=59, v3=1), Sight.AGAINST),
        (seen(60, v1=30, v3=30), Sight.AGAINST),
        (seen(60, v2=59), Sight.AGAINST),
        (seen(60, failures=1, v2=60), Sight.AGAINST),
        (seen(60), Sight.AGAINST),
    ],
)
def test_of_two_that_may_answer_one_must(traffic: Traffic, found: Sight) -> None:
    assert sight(traffic, only={"v1", "v2"}, all_of={"v2"}) is found


def test_anybody_may_answer_unless_it_is_said_who() -> None:
    assert sight(seen(60, v9=60)) is Sight.THERE
    assert sight(seen(60, v9=60), all_of={"v1"}) is Sight.UNSEEN
    assert sight(seen(60, v9=1)) is Sight.AGAINST

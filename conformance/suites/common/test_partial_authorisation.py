"""What becomes of a split whose caller may reach some of its backends only."""

from __future__ import annotations

import pytest

from conformance.suite import (
    REQUESTS,
    Conclude,
    Division,
    Effect,
    Look,
    Observed,
    Odd,
    Scenario,
    Trial,
    driven,
    judge,
    observe,
)

pytestmark = pytest.mark.scenario(
    "common/partial-authorisation", arena=("access",), groups=("split", "access", "specs"), alone=True
)

CLIENT = "access/alpha"
SERVERS = ["access/server", "access/other", "access/third", "access/beta"]
HALVED = "split with a backend that is not granted"
OPENED = "a backend is reached that the caller is not granted"
LOOKS = (
    Look("a", ("server",), failing=True),
    Look("b"),
    Look("b", refused=True),
    Look("c", ("server",)),
    Look("", ("server", "other"), finding=OPENED),
    Look("", ("server", "other"), failing=True, finding=OPENED),
    Look("", ("other",), finding=OPENED),
    Look("", ("other",), failing=True, finding=OPENED),
)


@driven
def seen(scenario: Scenario) -> Observed[Effect]:
    scenario.provide()

    def permitted(server: str) -> Division:
        call = scenario.call(CLIENT, "access/permitted", requests=200)
        return Division(call, frozenset({server}), dead_before=True)

    halved = scenario.call(CLIENT, "access/halved", requests=REQUESTS)
    # The account behind the root is granted as well: without its split the root answers.
    trial = Trial("halved", HALVED, halved, LOOKS, usual=("third",), about="halved", apart=True)
    odd = Odd([trial], ["2-halved.yaml"], SERVERS)
    first, then = permitted("server"), permitted("beta")
    return observe(scenario, odd, (first, "1-permitted.yaml"), (then, "3-permitted.yaml"))


@pytest.mark.requirement("interact-split-partial-authorisation")
def test_what_becomes_of_the_share_of_a_backend_that_the_caller_is_not_granted(
    seen: Observed[Effect], verdict: Conclude
) -> None:
    effect = judge.opened(seen.effect, {"server": 1})
    verdict(judge.reading(effect, seen.about("halved"), effect))

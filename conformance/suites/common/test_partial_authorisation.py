"""What becomes of a split whose caller may reach some of its backends only."""

from __future__ import annotations

import pytest

from conformance.suite import (
    REQUESTS,
    Behaviour,
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    Trial,
    TrialPlan,
    TrialResults,
    drives_scenario,
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
    Behaviour("a", ("server",), failing=True),
    Behaviour("b"),
    Behaviour("b", refused=True),
    Behaviour("c", ("server",)),
    Behaviour("", ("server", "other"), finding=OPENED),
    Behaviour("", ("server", "other"), failing=True, finding=OPENED),
    Behaviour("", ("other",), finding=OPENED),
    Behaviour("", ("other",), failing=True, finding=OPENED),
)


@drives_scenario
def seen(scenario: Scenario) -> TrialResults[Effect]:
    scenario.create_services()

    def permitted(server: str) -> ExpectedResponders:
        call = scenario.call(CLIENT, "access/permitted", requests=200)
        return ExpectedResponders(call, frozenset({server}), unreachable_before=True)

    halved = scenario.call(CLIENT, "access/halved", requests=REQUESTS)
    # The account behind the root is granted as well: without its split the root answers.
    trial = Trial(
        "halved", HALVED, halved, LOOKS, baseline_responders=("third",), object_name="halved", apart=True
    )
    odd = TrialPlan([trial], ["2-halved.yaml"], SERVERS)
    first, then = permitted("server"), permitted("beta")
    return observe(scenario, odd, (first, "1-permitted.yaml"), (then, "3-permitted.yaml"))


@pytest.mark.requirement("interact-split-partial-authorisation")
def test_what_becomes_of_the_share_of_a_backend_that_the_caller_is_not_granted(
    seen: TrialResults[Effect], verdict: Conclude
) -> None:
    effect = judge.root_served_by_backends(seen.effect, {"server": 1})
    verdict(judge.reading(effect, seen.select("halved"), effect))

"""A mesh may implement one API alone, and works where the cluster lacks the others."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import (
    GROUPS,
    Conclude,
    Effect,
    ExpectedResponders,
    Scenario,
    drives_scenario,
    judge,
    served_kinds,
)

pytestmark = pytest.mark.scenario("common/independent-claims", arena=("main",), groups=("split",))

REQUESTS = 200


@dataclass(frozen=True)
class Partly:
    """The API groups not claimed, those of them absent from the cluster, and the effect of a split there.

    Nothing is driven if none is absent.
    """

    unclaimed: tuple[str, ...]
    absent: tuple[str, ...]
    effect: Effect | None


@drives_scenario
def partly(scenario: Scenario) -> Partly:
    claims = scenario.profile.claims.by_group()
    unclaimed = tuple(group for name, group in GROUPS.items() if not claims[name])
    served = {group for group, _, _ in served_kinds(scenario.cluster)}
    absent = tuple(group for group in unclaimed if group not in served)
    if not absent:
        return Partly(unclaimed, absent, None)
    scenario.create_services()
    call = scenario.call("main/client", "main/independent", requests=REQUESTS)
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    (effect,) = scenario.apply_and_sample(
        [ExpectedResponders(call, frozenset({"v2"}))], "split.yaml", servers=servers
    )
    return Partly(unclaimed, absent, effect)


@pytest.mark.requirement("common-independent-api-claims")
def test_a_split_works_without_the_apis_that_are_not_claimed(partly: Partly, verdict: Conclude) -> None:
    if partly.effect is None:
        reason = "every API is claimed: there is none that the mesh has to do without"
        if partly.unclaimed:
            served = ", ".join(partly.unclaimed)
            reason = f"the cluster serves what is not claimed ({served}): work without it cannot be seen"
        verdict(judge.not_claimed(reason))
        return
    without = f"without {' and '.join(partly.absent)}"
    verdict(judge.all_of(**{without: judge.everything_reaches(partly.effect, "v2")}))

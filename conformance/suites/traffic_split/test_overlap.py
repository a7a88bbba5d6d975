"""A root may select its backends' pods too: what its split says goes before that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from conformance import judge
from conformance.drive.scenario import Division, Effect, Scenario
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario(
    "traffic-split/overlap",
    arena=("main",),
    groups=("split",),
    presumes=("common-dynamic-reconfiguration",),
)


@dataclass(frozen=True)
class Shared:
    """The effect of a split for one of the versions that its root selects, and of its edit for another."""

    first: Effect
    second: Effect


@driven
def shared(scenario: Scenario) -> Shared:
    scenario.provide()
    servers = ["main/v1", "main/v2", "main/v3", "main/v4"]
    root = scenario.call("main/client", "main/everyone", requests=2000)
    (first,) = scenario.effects([Division(root, frozenset({"v1"}))], "1-first.yaml", servers=servers)
    (second,) = scenario.effects([Division(root, frozenset({"v2"}))], "2-second.yaml", servers=servers)
    return Shared(first, second)


@pytest.mark.requirement("split-overlapping-selectors")
def test_the_named_version_gets_everything_although_the_root_selects_all(
    shared: Shared, verdict: Callable[[Judgement], None]
) -> None:
    first, second = shared.first, shared.second
    verdict(
        judge.all_of(
            all_to_v1=judge.everything_reaches(*first[:2], "v1", first.settling),
            all_to_v2=judge.everything_reaches(*second[:2], "v2", second.settling),
        )
    )

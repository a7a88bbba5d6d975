"""Route groups of one name in two namespaces: each split follows the group of its own namespace."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from conformance.suite import Conclude, Effect, ExpectedResponders, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("common/namespaces", arena=("main", "peer"), groups=("split", "specs"))

SERVERS = ["main/v1", "main/v2", "peer/p1", "peer/p2"]
FEW = 300


@drives_scenario
def sides(scenario: Scenario) -> Mapping[str, Effect]:
    scenario.create_services()
    wanted = {}
    for side, server in {"main": "v2", "peer": "p2"}.items():
        call = scenario.call("main/client", f"{side}/picked", requests=FEW, headers={"x-side": side})
        wanted[side] = ExpectedResponders(call, frozenset({server}))
    effects = scenario.apply_and_sample(list(wanted.values()), "splits.yaml", servers=SERVERS)
    return dict(zip(wanted, effects, strict=True))


@pytest.mark.requirement("common-crds-are-namespaced", presumes=("http-omitted-path-and-methods",))
def test_route_groups_of_one_name_in_two_namespaces_hold_side_by_side(
    sides: Mapping[str, Effect], verdict: Conclude
) -> None:
    main, peer = sides["main"], sides["peer"]
    verdict(
        judge.all_of(
            main=judge.everything_reaches(main, "v2"),
            peer=judge.everything_reaches(peer, "p2"),
        )
    )

"""A split with an edited root leaves the former root, and one of two splits of a root outlives the other."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance.suite import Conclude, Effect, ExpectedResponders, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario("traffic-split/moved", arena=("main",), groups=("split",))

SERVERS = ["main/v1", "main/v2", "main/v3"]
FEW = 300


@dataclass(frozen=True)
class Moves:
    """The effects of all steps.

    ``taken`` shows when the mesh has taken up the second split of the root, ``deleted`` the deletion of the
    first: if the second won at once, the root itself shows no change.
    """

    made: Effect
    reached: Effect
    left: Effect
    taken: Effect
    deleted: Effect
    outlived: Effect


@drives_scenario
def moves(scenario: Scenario) -> Moves:
    scenario.create_services()

    def to(root: str, server: str) -> ExpectedResponders:
        return ExpectedResponders(
            scenario.call("main/client", f"main/{root}", requests=FEW), frozenset({server})
        )

    (made,) = scenario.apply_and_sample([to("left", "v2")], "1-left.yaml", servers=SERVERS)
    reached, left = scenario.apply_and_sample(
        [to("reached", "v2"), to("left", "v1")], "2-reached.yaml", servers=SERVERS
    )
    # The meaning of two splits of one root is open; that of the remaining split is not.
    (taken,) = scenario.apply_and_sample([to("beside", "v2")], "3-twin.yaml", servers=SERVERS)
    scenario.delete("2-reached.yaml")
    (deleted,) = scenario.apply_and_sample([to("left", "v3")], "4-after.yaml", servers=SERVERS)
    (outlived,) = scenario.sample_once_converged([to("reached", "v3")], [reached.sample], SERVERS)
    return Moves(made, reached, left, taken, deleted, outlived)


@pytest.mark.requirement("common-dynamic-reconfiguration")
def test_a_split_with_an_edited_root_leaves_the_former_root(moves: Moves, verdict: Conclude) -> None:
    verdict(
        judge.all_of(
            made=judge.everything_reaches(moves.made, "v2"),
            reached=judge.everything_reaches(moves.reached, "v2"),
            left=judge.everything_reaches(moves.left, "v1"),
        )
    )


@pytest.mark.requirement("common-dynamic-reconfiguration")
def test_a_split_outlives_another_split_of_its_root(moves: Moves, verdict: Conclude) -> None:
    verdict(
        judge.all_of(
            taken=judge.everything_reaches(moves.taken, "v2"),
            deleted=judge.everything_reaches(moves.deleted, "v3"),
            outlived=judge.everything_reaches(moves.outlived, "v3"),
        )
    )

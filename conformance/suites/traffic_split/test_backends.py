"""Which pods stand behind a backend: those of the service that the split names, all of them and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from conformance import judge
from conformance.drive.scenario import Division, Effect, Scenario
from conformance.judge.statistics import sample_size
from conformance.lanes import driven
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario("traffic-split/backends", arena=("main",), groups=("split",))

THREE = {"three": ("v2", "v3", "client-b")}
HALVES = {"v1": 50, "three": 50}
SORTS = {"v1": 50, "v2": 25, "v3": 25}
ALL_OF_IT = 1000


@driven
def effects(scenario: Scenario) -> Mapping[str, Effect]:
    scenario.provide()
    wanted = {
        "lone": (ALL_OF_IT, {"v2"}),
        "uneven": (sample_size(HALVES), {"v1", *THREE["three"]}),
        "upper": (ALL_OF_IT, {"v1"}),
        "middle": (ALL_OF_IT, {"v2"}),
        "sorts": (sample_size(SORTS), set(SORTS)),
    }
    # A split that silences nobody is in force once those answer whom the root does not select.
    appearing = {"uneven": frozenset(THREE["three"])}
    divisions = [
        Division(
            scenario.call("main/client", f"main/{root}", requests=requests),
            frozenset(among),
            appearing.get(root, frozenset()),
        )
        for root, (requests, among) in wanted.items()
    ]
    servers = ["main/v1", "main/v2", "main/v3", "main/client-b"]
    return dict(zip(wanted, scenario.effects(divisions, "split.yaml", servers=servers), strict=True))


@pytest.mark.requirement("split-single-backend")
def test_the_only_backend_gets_everything_although_the_root_does_not_select_it(
    effects: Mapping[str, Effect], verdict: Callable[[Judgement], None]
) -> None:
    before, sample, settling = effects["lone"]
    verdict(judge.everything_reaches(before, sample, "v2", settling))


@pytest.mark.requirement("split-by-service-not-pod-count")
def test_a_backend_of_three_pods_gets_no_more_than_its_weight(
    effects: Mapping[str, Effect], verdict: Callable[[Judgement], None]
) -> None:
    before, sample, settling = effects["uneven"]
    verdict(judge.shares(before, sample, HALVES, settling, THREE))


@pytest.mark.requirement("split-not-hierarchical")
def test_a_backend_that_is_a_root_itself_keeps_what_it_gets(
    effects: Mapping[str, Effect], verdict: Callable[[Judgement], None]
) -> None:
    upper, middle = effects["upper"], effects["middle"]
    verdict(
        judge.all_of(
            through_the_upper_split=judge.everything_reaches(*upper[:2], "v1", upper.settling),
            by_its_own_name=judge.everything_reaches(*middle[:2], "v2", middle.settling),
        )
    )


@pytest.mark.requirement("split-backend-service-types")
def test_headless_and_node_port_services_are_backends_like_others(
    effects: Mapping[str, Effect], verdict: Callable[[Judgement], None]
) -> None:
    before, sample, settling = effects["sorts"]
    verdict(judge.shares(before, sample, SORTS, settling))

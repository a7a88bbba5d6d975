"""Objects written in one version of their kind mean the same in the others, or do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from conformance.suite import (
    Behaviour,
    Conclude,
    Conversion,
    Effect,
    ExpectedResponders,
    Object,
    Scenario,
    SendOptions,
    Trial,
    TrialPlan,
    TrialResult,
    TrialResults,
    conversions,
    drives_scenario,
    judge,
    load,
    observe,
    versions_there,
    write,
)

pytestmark = pytest.mark.scenario("common/versions", arena=("main", "access"), groups=())

SERVERS = ["main/v1", "main/v2", "main/v3", "access/server"]
DRAWS = 300
"""Requests on a connection each: of two thirds a random draw gets half or less with a probability of 10⁻⁹."""
READ = {
    "TrafficSplit": "split read in another version",
    "HTTPRouteGroup": "route group read in another version",
    "TrafficTarget": "target read in another version",
}
WEIGHTS = "weights of an earlier version in traffic"
PORT = "port of a target of an earlier version"
CHANGED = "its meaning is lost or another"
LOOKS = (
    Behaviour("a", reads="same"),
    Behaviour("ac", reads="either"),
    Behaviour("b", reads="alone"),
    Behaviour("c", reads="renamed"),
    Behaviour("", reads="changed", finding=CHANGED),
)
WITH_PORT = ({"access": "v1alpha2", "specs": "v1alpha3"}, {"access": "v1alpha1", "specs": "v1alpha2"})
"""Versions with a port in the target, of access and of the specs that go with them."""


def in_quantities(item: dict[str, Any]) -> dict[str, Any]:
    """A split of v1alpha1 with weights of 2 and 1 says so by 1 and 500m; other objects stay."""
    if item["kind"] != "TrafficSplit" or not item["apiVersion"].endswith("/v1alpha1"):
        return item
    weights = {"2": 1, "1": "500m"} if len(item["spec"]["backends"]) > 1 else {}
    backends = [
        {**one, "weight": weights.get(one["weight"], one["weight"])} for one in item["spec"]["backends"]
    ]
    return {**item, "spec": {**item["spec"], "backends": backends}}


def weights(scenario: Scenario, there: Mapping[str, list[str]]) -> tuple[list[Trial], list[Object]]:
    """A split of the earliest version, and who is to answer under it; nothing where there is one version."""
    if len(there.get("TrafficSplit", ())) < 2:
        return [], []
    file = load(f"{scenario.folder}/2-earlier-split.yaml")
    objects: list[Object] = [
        in_quantities(one) for one in write(scenario, file, {"split": there["TrafficSplit"][0]})
    ]
    both = ("v2", "v3")
    looks = (
        Behaviour("a", both, majority="v2"),
        Behaviour("", both, majority="v3", finding="the weights are others than were written"),
        Behaviour("", ("v1",), finding="the split is lost"),
        Behaviour("", ("v2",), finding="the weights are others than were written"),
        Behaviour("", ("v3",), finding="the weights are others than were written"),
    )
    call = scenario.call("main/client", "main/earlier", requests=DRAWS)
    return [
        Trial(
            "2 to 1",
            WEIGHTS,
            call,
            looks,
            ("v1",),
            options=SendOptions(new_connections=True),
            beside=("earlier",),
        )
    ], objects


def port(scenario: Scenario, there: Mapping[str, list[str]]) -> tuple[list[Trial], list[Object]]:
    """A target with a port, and what it is to open; nothing where no version has one, or is beside others."""
    targets, groups = there.get("TrafficTarget", []), there.get("HTTPRouteGroup", [])
    old = next((one for one in WITH_PORT if one["access"] in targets and one["specs"] in groups), None)
    if old is None or len(targets) < 2:
        return [], []
    objects: list[Object] = [*write(scenario, load(f"{scenario.folder}/2-earlier-target.yaml"), old)]

    def trial(name: str, number: int, looks: tuple[Behaviour, ...]) -> Trial:
        call = scenario.call("access/alpha", "access/both-ports", path="/earlier", port=number, requests=10)
        return Trial(name, PORT, call, looks, baseline_responders=(), beside=("earlier", "web"))

    served = ("server",)
    return [
        trial("its port", 8080, (Behaviour("a", served), Behaviour("", finding="the grant is lost"))),
        trial(
            "another port",
            8081,
            (Behaviour("a"), Behaviour("", served, finding="the port is lost: all are open")),
        ),
    ], objects


def named(one: Conversion) -> str:
    return f"{one.kind} {one.written_in}" + (f" in {one.read_in}" if one.read_in else "")


def alone(of: str) -> TrialResult:
    return TrialResult("versions", of, LOOKS, conversion=Conversion("", ""))


@drives_scenario
def seen(scenario: Scenario) -> tuple[TrialResults[Effect], list[TrialResult]] | None:
    if "split" not in scenario.versions:
        return None
    scenario.create_services()

    def current(server: str) -> ExpectedResponders:
        call = scenario.call("main/client", "main/current", requests=200)
        return ExpectedResponders(call, frozenset({server}))

    there = versions_there(scenario)
    divided, splits = weights(scenario, there)
    opened, targets = port(scenario, there)
    odd = TrialPlan([*divided, *opened], [], SERVERS, written=[*splits, *targets])
    observed = observe(scenario, odd, (current("v2"), "1-current.yaml"), (current("v3"), "3-current.yaml"))
    read = [
        TrialResult(named(one), READ[one.kind], LOOKS, conversion=one)
        for one in conversions(scenario, load(f"{scenario.folder}/read.yaml"), in_quantities)
    ]
    questions = [*read, *observed.questions.values()]
    missing = [WEIGHTS] if not divided else []
    missing += [PORT] if "TrafficTarget" in there and not opened else []
    return observed, [*questions, *(alone(of) for of in missing)]


@pytest.mark.requirement("common-multi-version-consistency")
def test_what_is_written_in_one_version_means_the_same_in_another(
    seen: tuple[TrialResults[Effect], list[TrialResult]] | None, verdict: Conclude
) -> None:
    if seen is None:
        verdict(judge.not_claimed("no effect to be seen in force beside it: the mesh claims no splits"))
        return
    observed, questions = seen
    effect = judge.everything_reaches(observed.effect, "v2")
    verdict(judge.reading(effect, questions, effect))

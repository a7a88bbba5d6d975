"""Objects written in one version of their kind and read in another, or in force beside objects of another."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Behaviour,
    Conclude,
    Conversion,
    Object,
    Scenario,
    SendOptions,
    SplitTrials,
    TrialRegister,
    TrialResult,
    answered,
    conversions,
    drives_scenario,
    finding,
    in_quantities,
    judge,
    load,
    unanswered,
    versions_there,
    versions_with_target_port,
    write,
)

pytestmark = pytest.mark.scenario("common/versions", arena=("main", "access"), groups=())

trials = TrialRegister(
    ["main/v1", "main/v2", "main/v3", "access/server"],
    {"client": "main/client", "other_objects": ("earlier",)},
)


@drives_scenario
def seen(scenario: Scenario) -> tuple[SplitTrials, list[TrialResult]] | None:
    if "split" not in scenario.versions:
        return None
    scenario.create_services()
    found = trials.run_beside_split(
        scenario,
        scenario.call("main/client", "main/current", requests=200),
        {"v2": "1-current.yaml", "v3": "3-current.yaml"},
        lambda effect: judge.everything_reaches(effect, "v2"),
        objects=[*earlier_split(scenario), *earlier_target(scenario)],
    )
    read = [
        TrialResult(name_of(one), READ[one.kind], MEANING, conversion=one)
        for one in conversions(scenario, load(f"{scenario.folder}/read.yaml"), in_quantities)
    ]
    untried = [] if found.select(TWO_TO_ONE) else [WEIGHTS]
    if "TrafficTarget" in versions_there(scenario) and not found.select(LISTED_PORT):
        untried.append(PORT)
    lone = [TrialResult("versions", of, MEANING, conversion=Conversion("", "")) for of in untried]
    return found, [*read, *found.by_name.values(), *lone]


READ = {
    "TrafficSplit": "split read in another version",
    "HTTPRouteGroup": "route group read in another version",
    "TrafficTarget": "target read in another version",
}
MEANING = (
    Behaviour("a", reads="same"),
    Behaviour("ac", reads="either"),
    Behaviour("b", reads="alone"),
    Behaviour("c", reads="renamed"),
    Behaviour("", reads="changed", finding="its meaning is lost or another"),
)


def name_of(one: Conversion) -> str:
    return f"{one.kind} {one.written_in}" + (f" in {one.read_in}" if one.read_in else "")


def has_earlier_split(scenario: Scenario) -> bool:
    return len(versions_there(scenario).get("TrafficSplit", ())) > 1


def earlier_split(scenario: Scenario) -> list[Object]:
    """A split of the earliest version; none where only one version is claimed and served."""
    if not has_earlier_split(scenario):
        return []
    earliest = {"split": versions_there(scenario)["TrafficSplit"][0]}
    items = load(f"{scenario.folder}/2-earlier-split.yaml")
    return [in_quantities(one) for one in write(scenario, items, earliest)]


WEIGHTS = "weights of an earlier version in traffic"
OTHER_WEIGHTS = "the weights are others than were written"
# A random draw gets half or less of two thirds of 300 requests with a probability of 10⁻⁹.
TWO_TO_ONE = trials.declare(
    "2 to 1",
    WEIGHTS,
    (answered("a", "v2", "v3", majority="v2"),),
    findings=[
        answered("", "v2", "v3", majority="v3", finding=OTHER_WEIGHTS),
        finding("the split is lost", "v1"),
        finding(OTHER_WEIGHTS, "v2"),
        finding(OTHER_WEIGHTS, "v3"),
    ],
    service="main/earlier",
    requests=300,
    options=SendOptions(new_connections=True),
    baseline_responders=("v1",),
    made_if=has_earlier_split,
)


def earlier_target(scenario: Scenario) -> list[Object]:
    """A target with a port; none where no such version is claimed and served."""
    versions = versions_with_target_port(scenario)
    items = load(f"{scenario.folder}/2-earlier-target.yaml") if versions else []
    return list(write(scenario, items, versions or {}))


PORT = "port of a target of an earlier version"
to_both_ports = trials.with_defaults(
    client="access/alpha",
    service="access/both-ports",
    requests=10,
    path="/earlier",
    other_objects=("earlier", "web"),
    baseline_responders=(),
    made_if=lambda scenario: versions_with_target_port(scenario) is not None,
)
LISTED_PORT = to_both_ports.declare(
    "its port", PORT, (answered("a", "server"),), findings=[finding("the grant is lost")]
)
OTHER_PORT = to_both_ports.declare(
    "another port",
    PORT,
    (unanswered("a"),),
    findings=[finding("the port is lost: all are open", "server")],
    port=8081,
)


@pytest.mark.requirement("common-multi-version-consistency")
def test_an_object_means_the_same_in_each_version(
    seen: tuple[SplitTrials, list[TrialResult]] | None, verdict: Conclude
) -> None:
    if seen is None:
        verdict(judge.not_claimed("no effect to be seen in force beside it: the mesh claims no splits"))
        return
    found, results = seen
    verdict(judge.reading(found.in_force, results, found.in_force))

"""Forms that the specification leaves open: of a root's name, of a call to it, and of what is divided."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.suite import (
    ORDINARY_HOST,
    REQUESTS,
    Behaviour,
    Call,
    ClusterError,
    Conclude,
    Effect,
    ExpectedResponders,
    Judgement,
    Scenario,
    SendOptions,
    Trial,
    TrialPlan,
    TrialResults,
    drives_scenario,
    judge,
    observe,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/forms", arena=("main", "metrics"), groups=("split",), alone=True
)

SERVERS = ["main/v1", "main/v2", "main/v3"]
ROOT, TAKEN = ("v1",), ("v2",)
BYPASS = "calls of this usual form go past the split"
FORMS = {
    "short name": "{service}",
    "name and namespace": "{service}.{namespace}",
    "name up to svc": "{service}.{namespace}.svc",
    "full name": ORDINARY_HOST,
}
AS_ITSELF, AS_ANOTHER = "address of the root", "address of the root with the host of another"
UNDERSTOOD = (Behaviour("a", ROOT), Behaviour("a", refused=True), Behaviour("b", TAKEN))
DIVIDED = (Behaviour("a", ("v2", "v3")), Behaviour("b", ("v2",)), Behaviour("b", ("v3",)))
NOT_DIVIDED = (
    Behaviour("", ROOT, finding="HTTP/2 goes past the split"),
    Behaviour("", (), finding="HTTP/2 gets nowhere"),
)
UNITS: dict[str, tuple[str, dict[str, Any], tuple[Behaviour, ...], SendOptions]] = {
    "one kept connection": ("units", {}, DIVIDED, SendOptions(one_connection=True)),
    "one connection of HTTP/2": (
        "units",
        {"protocol": "http2"},
        DIVIDED + NOT_DIVIDED,
        SendOptions(one_connection=True),
    ),
    "connections of raw TCP": (
        "units-tcp",
        {"protocol": "tcp", "port": 9000},
        (
            Behaviour("a", ("v2", "v3")),
            Behaviour("b", ROOT),
            Behaviour("", (), finding="raw TCP gets nowhere"),
        ),
        SendOptions(new_connections=True),
    ),
    "connections to a server that speaks first": (
        "units-greeting",
        {"protocol": "greeting", "port": 9010},
        (
            Behaviour("a", ("v2", "v3")),
            Behaviour("b", ROOT),
            Behaviour("", (), finding="connections to a server that speaks first get nowhere"),
            Behaviour(
                "", ("v2", "v3"), failing=True, finding="connections to a server that speaks first get lost"
            ),
        ),
        SendOptions(new_connections=True),
    ),
}
SPOKEN = {"tcp": "tcp", "greeting": "tcp"}
"""What the port of a unit's call is declared to speak, where that is not HTTP."""


def called(scenario: Scenario) -> list[Trial]:
    """One trial for each form of address. A mesh with host names of its own need not see the usual ones."""
    namespace = scenario.arena.namespace("main")
    ordinary = scenario.profile.ordinary_host("named", namespace)
    named = {"service": "named", "namespace": namespace, "domain": scenario.profile.cluster_domain}
    finding = BYPASS if scenario.profile.host("named", namespace) == ordinary else ""
    looks = (Behaviour("a", TAKEN), Behaviour("b", ROOT, finding=finding))
    return [
        Trial(
            form,
            form,
            Call("main/client", host.format(**named), 8080, REQUESTS),
            looks,
            ROOT,
            object_name="named",
        )
        for form, host in FORMS.items()
    ]


def by_address(scenario: Scenario) -> list[Trial]:
    """The root called by its address, as itself and as the host of another root, whose split is for v3.

    A mesh may know no such calls at all, so nobody is waited for.
    """
    namespace = scenario.arena.namespace("main")
    path = scenario.cluster.path("v1", "Service", namespace, "named")
    read = scenario.cluster.request("GET", path)
    if read.status != 200:
        raise ClusterError(f"the address of service named could not be read (HTTP {read.status})")
    address = str(read.body["spec"]["clusterIP"])

    def trial(name: str, looks: tuple[Behaviour, ...], **what: Any) -> Trial:
        call = Call("main/client", address, 8080, REQUESTS, **what)
        return Trial(name, name, call, looks, baseline_responders=None, object_name="named")

    another = {"host": scenario.profile.host("usual", namespace)}
    return [
        trial(AS_ITSELF, (Behaviour("a", TAKEN), Behaviour("b", ROOT))),
        trial(AS_ANOTHER, (Behaviour("c", ("v3",)), Behaviour("d", TAKEN)), headers=another),
    ]


def named(scenario: Scenario) -> list[Trial]:
    def trial(root: str, of: str, looks: tuple[Behaviour, ...]) -> Trial:
        call = scenario.call("main/client", f"main/{root}", requests=REQUESTS)
        return Trial(root, of, call, looks, ROOT, object_name=root)

    cut = Behaviour("b", TAKEN, finding="the service of that name in the split's own namespace is split")
    return [
        trial("dotted", "root with its namespace", UNDERSTOOD),
        trial("qualified", "root with its full name", UNDERSTOOD),
        trial(
            "victim", "root of another namespace", (Behaviour("a", ROOT), Behaviour("a", refused=True), cut)
        ),
    ]


@drives_scenario
def seen(scenario: Scenario) -> TrialResults[Effect]:
    def usual(server: str) -> ExpectedResponders:
        return ExpectedResponders(
            scenario.call("main/client", "main/usual", requests=200), frozenset({server})
        )

    scenario.create_services()
    if scenario.profile.requires_targets:
        scenario.apply_objects(scenario.objects_for_version("permits-tcp.yaml"))
    units = [
        Trial(
            name,
            name,
            scenario.call("main/client", f"main/{root}", requests=REQUESTS, **what),
            looks,
            # A mesh that waits for the client to speak first may do so without a split, too.
            None if what.get("protocol") == "greeting" else ROOT,
            object_name=root,
            options=options,
        )
        for name, (root, what, looks, options) in UNITS.items()
        if scenario.carries(SPOKEN.get(what.get("protocol", "http"), "http"))
    ]
    trials = [*called(scenario), *by_address(scenario), *named(scenario), *units]
    odd = TrialPlan(trials, ["2-odd.yaml"], SERVERS)
    return observe(scenario, odd, (usual("v2"), "1-steady.yaml"), (usual("v3"), "3-steady.yaml"))


def reading(seen: TrialResults[Effect], *names: str) -> Judgement:
    """Which readings the trials of these names show, beside the effect that was in force."""
    effect = judge.everything_reaches(seen.effect, "v2")
    return judge.reading(effect, seen.select(*names), effect)


@pytest.mark.requirement("split-root-name-form")
def test_which_forms_of_a_roots_name_are_understood(seen: TrialResults[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, "dotted", "qualified", "victim"))


@pytest.mark.requirement("split-addressing-forms")
def test_which_forms_of_address_a_split_is_for(seen: TrialResults[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, *FORMS, AS_ITSELF, AS_ANOTHER))


@pytest.mark.requirement("split-unit-of-division")
def test_whether_requests_or_connections_are_divided(seen: TrialResults[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, *(name for name in UNITS if name in seen.questions)))

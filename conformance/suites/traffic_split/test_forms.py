"""Forms that the specification leaves open: of a root's name, of a call to it, and of what is divided."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.suite import (
    ORDINARY_HOST,
    REQUESTS,
    Call,
    ClusterError,
    Conclude,
    Division,
    Effect,
    Judgement,
    Look,
    Manner,
    Observed,
    Odd,
    Scenario,
    Trial,
    driven,
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
UNDERSTOOD = (Look("a", ROOT), Look("a", refused=True), Look("b", TAKEN))
DIVIDED = (Look("a", ("v2", "v3")), Look("b", ("v2",)), Look("b", ("v3",)))
NOT_DIVIDED = (
    Look("", ROOT, finding="HTTP/2 goes past the split"),
    Look("", (), finding="HTTP/2 gets nowhere"),
)
UNITS: dict[str, tuple[str, dict[str, Any], tuple[Look, ...], Manner]] = {
    "one kept connection": ("units", {}, DIVIDED, Manner(single=True)),
    "one connection of HTTP/2": (
        "units",
        {"protocol": "http2"},
        DIVIDED + NOT_DIVIDED,
        Manner(single=True),
    ),
    "connections of raw TCP": (
        "units-tcp",
        {"protocol": "tcp", "port": 9000},
        (Look("a", ("v2", "v3")), Look("b", ROOT), Look("", (), finding="raw TCP gets nowhere")),
        Manner(fresh=True),
    ),
    "connections to a server that speaks first": (
        "units-greeting",
        {"protocol": "greeting", "port": 9010},
        (
            Look("a", ("v2", "v3")),
            Look("b", ROOT),
            Look("", (), finding="connections to a server that speaks first get nowhere"),
            Look(
                "", ("v2", "v3"), failing=True, finding="connections to a server that speaks first get lost"
            ),
        ),
        Manner(fresh=True),
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
    looks = (Look("a", TAKEN), Look("b", ROOT, finding=finding))
    return [
        Trial(
            form,
            form,
            Call("main/client", host.format(**named), 8080, REQUESTS),
            looks,
            ROOT,
            about="named",
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

    def trial(name: str, looks: tuple[Look, ...], **what: Any) -> Trial:
        call = Call("main/client", address, 8080, REQUESTS, **what)
        return Trial(name, name, call, looks, usual=None, about="named")

    another = {"host": scenario.profile.host("usual", namespace)}
    return [
        trial(AS_ITSELF, (Look("a", TAKEN), Look("b", ROOT))),
        trial(AS_ANOTHER, (Look("c", ("v3",)), Look("d", TAKEN)), headers=another),
    ]


def named(scenario: Scenario) -> list[Trial]:
    def trial(root: str, of: str, looks: tuple[Look, ...]) -> Trial:
        call = scenario.call("main/client", f"main/{root}", requests=REQUESTS)
        return Trial(root, of, call, looks, ROOT, about=root)

    cut = Look("b", TAKEN, finding="the service of that name in the split's own namespace is split")
    return [
        trial("dotted", "root with its namespace", UNDERSTOOD),
        trial("qualified", "root with its full name", UNDERSTOOD),
        trial("victim", "root of another namespace", (Look("a", ROOT), Look("a", refused=True), cut)),
    ]


@driven
def seen(scenario: Scenario) -> Observed[Effect]:
    def usual(server: str) -> Division:
        return Division(scenario.call("main/client", "main/usual", requests=200), frozenset({server}))

    scenario.provide()
    if scenario.profile.needs_permits:
        scenario.apply_objects(scenario.expressible("permits-tcp.yaml"))
    units = [
        Trial(
            name,
            name,
            scenario.call("main/client", f"main/{root}", requests=REQUESTS, **what),
            looks,
            # A mesh that waits for the client to speak first may do so without a split, too.
            None if what.get("protocol") == "greeting" else ROOT,
            about=root,
            manner=manner,
        )
        for name, (root, what, looks, manner) in UNITS.items()
        if scenario.carries(SPOKEN.get(what.get("protocol", "http"), "http"))
    ]
    trials = [*called(scenario), *by_address(scenario), *named(scenario), *units]
    odd = Odd(trials, ["2-odd.yaml"], SERVERS)
    return observe(scenario, odd, (usual("v2"), "1-steady.yaml"), (usual("v3"), "3-steady.yaml"))


def reading(seen: Observed[Effect], *names: str) -> Judgement:
    """Which readings the trials of these names show, beside the effect that was in force."""
    effect = judge.everything_reaches(seen.effect, "v2")
    return judge.reading(effect, seen.about(*names), effect)


@pytest.mark.requirement("split-root-name-form")
def test_which_forms_of_a_roots_name_are_understood(seen: Observed[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, "dotted", "qualified", "victim"))


@pytest.mark.requirement("split-addressing-forms")
def test_which_forms_of_address_a_split_is_for(seen: Observed[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, *FORMS, AS_ITSELF, AS_ANOTHER))


@pytest.mark.requirement("split-unit-of-division")
def test_whether_requests_or_connections_are_divided(seen: Observed[Effect], verdict: Conclude) -> None:
    verdict(reading(seen, *(name for name in UNITS if name in seen.questions)))

"""Open questions about routes, on a mesh that one expression may stop, in virtual time."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from conformance.clusters import ApiAnswer
from conformance.drive.open_questions.trial_runner import TrialResults
from conformance.model.evidence import AccessTable
from conformance.model.verdict import Reading
from conformance.probe.plan import Batch
from conformance.run.context import RunContext
from conformance.suite import drive_of
from conformance.suites.traffic_specs import (
    test_odd_groups,
    test_odd_groups_dialect,
    test_odd_groups_expressions,
)

from .fake_cluster import FakeCluster
from .fake_mesh import End, FakeMesh, Objects
from .virtual import VirtualClock

MODULES = (test_odd_groups, test_odd_groups_expressions, test_odd_groups_dialect)
KINDS = ("TrafficTarget", "HTTPRouteGroup", "TCPRoute")


@dataclass
class GuardedMesh(FakeMesh):
    """Lets through what is granted in the part of the arena that is under access control.

    ``stops``: a server that is granted anything by an expression that does not compile keeps what it has.
    """

    stops: bool = False
    taken: dict[str, Objects] = field(default_factory=dict)

    def _draws(
        self, objects: Objects, client: dict[str, Any], batch: Batch, first: int = 0
    ) -> Callable[[], End]:
        draw = super()._draws(objects, client, batch, first)

        def guarded() -> End:
            server, port = draw()
            if server is None or server is client or server["metadata"]["namespace"] != "smi-access-r1":
                return server, port
            return (server if self._is_granted(objects, client, server, batch, port) else None), port

        return guarded

    def _is_granted(
        self, objects: Objects, client: dict[str, Any], server: dict[str, Any], batch: Batch, port: int
    ) -> bool:
        account = server["spec"]["serviceAccountName"]
        rules = {key: one for key, one in objects.items() if key[0] in KINDS}
        if not self.stops or all(_compiles(path) for path in _paths(rules, account)):
            self.taken[account] = copy.deepcopy(rules)
        known = self.taken.get(account, {})
        caller = (client["spec"]["serviceAccountName"], client["metadata"]["namespace"])
        return any(
            _matches(known, target, batch, port)
            for target in _targets(known, account)
            if caller in [(one["name"], one["namespace"]) for one in target["spec"]["sources"]]
        )


def _targets(objects: Objects, account: str) -> Iterator[dict[str, Any]]:
    for (kind, _, _), one in objects.items():
        if kind == "TrafficTarget" and one["spec"]["destination"]["name"] == account:
            yield one


def _ruled(objects: Objects, target: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    for rule in target["spec"]["rules"]:
        found = objects.get((kind, target["metadata"]["namespace"], rule["name"]))
        if rule["kind"] == kind and found is not None:
            yield found


def _paths(objects: Objects, account: str) -> Iterator[str]:
    for target in _targets(objects, account):
        for group in _ruled(objects, target, "HTTPRouteGroup"):
            yield from (match.get("pathRegex", "") for match in group["spec"]["matches"])


def _compiles(path: str) -> bool:
    """As an engine without looking ahead has it."""
    try:
        re.compile(path)
    except re.error:
        return False
    return "(?" not in path


def _matches(objects: Objects, target: dict[str, Any], batch: Batch, port: int) -> bool:
    routes = list(_ruled(objects, target, "TCPRoute"))
    ports = [((one.get("spec") or {}).get("matches") or {}).get("ports") for one in routes]
    if not any(one is None or port in one for one in ports):
        return False
    if batch.protocol == "tcp":
        return not any(rule["kind"] == "HTTPRouteGroup" for rule in target["spec"]["rules"])
    return any(
        _compiles(match.get("pathRegex", ""))
        and re.fullmatch(match.get("pathRegex", ".*"), batch.path)
        and ("methods" not in match or batch.method in match["methods"])
        and not match.get("headers")
        for group in _ruled(objects, target, "HTTPRouteGroup")
        for match in group["spec"]["matches"]
    )


Drive = Callable[[bool], dict[str, Reading]]


@pytest.fixture
def drive(context: RunContext, cluster: FakeCluster) -> Drive:
    def on(stops: bool) -> dict[str, Reading]:
        cluster.mesh = GuardedMesh(stops=stops, ledgers=cluster.mesh.ledgers)
        cluster.on_trial = lambda item: ApiAnswer(201, dict(item))
        context.arena.wait_ready(["access", "peer"])
        readings: dict[str, Reading] = {}
        for module in MODULES:
            driven = drive_of(module.__name__)
            assert driven is not None
            scenario = context.scenario(module.pytestmark.args[0])
            seen = cast(TrialResults[AccessTable], driven(scenario))
            scenario.delete_applied()
            readings |= {one.question: one for one in seen.reading(*module.trials.declared).readings}
        return readings

    return on


ELSE = (
    "what else is granted where an expression does not compile",
    "what else is granted where an expression has a look-ahead",
)


def test_each_is_read_by_itself(drive: Drive, clock: VirtualClock) -> None:
    readings = drive(False)
    assert {of: readings[of].letter for of in ELSE} == dict.fromkeys(ELSE, "a")
    assert readings["a match beside an expression that does not compile"].letter == "b"
    assert readings["methods alone"].letter == "a"
    assert readings["a name alone"].letter == "a"
    assert readings["an empty list of matches"].letter == "a"
    assert readings["no spec"].letter == "a"
    assert not any("not observed" in one.seen for one in readings.values())
    assert clock.now() < 1010


def test_an_expression_that_stops_its_account_is_blamed_for_that_and_nothing_else_is(drive: Drive) -> None:
    sound, readings = drive(False), drive(True)
    changed = {of for of, one in readings.items() if (one.letter, one.finding) != _told(sound[of])}
    assert changed == {*ELSE, "a match beside an expression that does not compile"}
    assert {readings[of].letter for of in ELSE} == {"b"}
    assert {readings[of].finding for of in ELSE} == {
        "what else is granted at that account no longer takes effect"
    }


def _told(one: Reading) -> tuple[str, str]:
    return one.letter, one.finding

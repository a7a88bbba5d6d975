"""What becomes of fields that an object's version does not define, created with field validation relaxed."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.suite import (
    REQUESTS,
    AccessCheck,
    AccessTable,
    Behaviour,
    Conclude,
    Malform,
    Scenario,
    Trial,
    TrialPlan,
    TrialResults,
    changed,
    drives_scenario,
    judge,
    observe_access,
)

pytestmark = pytest.mark.scenario(
    "common/unknown-fields", arena=("access", "main"), groups=("split", "access", "specs"), alone=True
)

SERVERS = ("access/server", "access/other", "main/v1", "main/v2", "main/v3")
FEW = 10
MISPLACED = "matches where another version has them"
OF_SPLIT = "an unknown field of a split's backend"
PORT = "a port of a target whose version has none"
OPENED = "it opens what a group of the right shape would not"
WIDER = "the port opens what the target's routes do not"
IGNORED = "percent"
PORT_FIELD = "spec.destination.port"
WITH_PORT = {"v1alpha1", "v1alpha2"}
"""Versions of access whose targets have a port."""

SERVED, TAKEN = ("other",), ("v2",)


def elsewhere(group: dict[str, Any]) -> dict[str, Any]:
    """A group whose body stands where other versions have it: at top level, or under spec."""
    headed = {key: group[key] for key in ("apiVersion", "kind", "metadata")}
    body = {key: value for key, value in group.items() if key not in headed}
    return {**headed, **body["spec"]} if "spec" in body else {**headed, "spec": body}


def malformed(item: dict[str, Any]) -> dict[str, Any]:
    """An object of the fixture with its field that the version does not define."""
    if item["kind"] == "HTTPRouteGroup":
        return elsewhere(item)
    return changed(item, (f"spec.backends.1.{IGNORED}", 100))


def with_port(target: dict[str, Any]) -> dict[str, Any]:
    return changed(target, (PORT_FIELD, 8080))


def either(by: tuple[str, ...], *findings: Behaviour) -> tuple[Behaviour, ...]:
    """A field that is dropped, refused, or stored without effect; ``by`` answer without it."""
    return (
        Behaviour("a", by, field_stored=False),
        Behaviour("b", refused=True),
        Behaviour("c", by, field_stored=True),
        *findings,
    )


def trials(scenario: Scenario) -> list[Trial]:
    below = scenario.versions["specs"] in {"v1alpha3", "v1alpha4"}
    matches = "matches" if below else "spec.matches"

    def call(client: str, service: str, path: str, port: int = 8080, requests: int = FEW) -> Any:
        return scenario.call(client, service, path=path, port=port, requests=requests)

    opened = Behaviour("", SERVED, field_stored=False, finding=OPENED)
    beyond = Behaviour("", SERVED, finding=OPENED)
    group = [
        ("what its matches say", "/meant", either((), opened)),
        ("what its matches do not say", "/else", either((), beyond)),
    ]
    found = [
        Trial(
            name,
            MISPLACED,
            call("access/beta", "access/other", path),
            looks,
            baseline_responders=(),
            object_name="misplaced",
            field=matches,
            beside=("to-misplaced",),
        )
        for name, path, looks in group
    ]
    split = call("main/client", "main/fielded", "/", requests=REQUESTS)
    field = f"spec.backends.1.{IGNORED}"
    found.append(Trial("split", OF_SPLIT, split, either(TAKEN), ("v1",), object_name="fielded", field=field))
    if scenario.versions["access"] in WITH_PORT:
        return found
    ports = [
        ("its routes at the port", "/meant", 8080, either(SERVED)),
        ("its routes at another port", "/meant", 8081, either(SERVED)),
        ("other routes at the port", "/else", 8080, either((), Behaviour("", SERVED, finding=WIDER))),
    ]
    return found + [
        Trial(
            name,
            PORT,
            call("access/gamma", "access/either-port", path, port),
            looks,
            baseline_responders=(),
            object_name="with-port",
            field=PORT_FIELD,
            beside=("meant",),
        )
        for name, path, port, looks in ports
    ]


@drives_scenario
def seen(scenario: Scenario) -> TrialResults[AccessTable]:
    scenario.create_services()

    def steady(now: str, other: str) -> list[AccessCheck]:
        def call(path: str) -> Any:
            return scenario.call("access/alpha", "access/server", path=f"/steady/{path}")

        return [
            AccessCheck(now, "granted", call(now), "server"),
            AccessCheck(other, "denied", call(other), "server"),
        ]

    added: list[tuple[str, Malform]] = [("2-misshapen.yaml", malformed)]
    if scenario.versions["access"] not in WITH_PORT:
        added.append(("2-with-port.yaml", with_port))
    odd = TrialPlan(trials(scenario), ["2-sound.yaml"], SERVERS, malformed=added)
    first, second = steady("first", "second"), steady("second", "first")
    return observe_access(scenario, odd, (first, "1-steady.yaml"), (second, "3-steady.yaml"))


@pytest.mark.requirement("common-unknown-fields")
def test_what_becomes_of_fields_that_the_version_does_not_define(
    seen: TrialResults[AccessTable], verdict: Conclude
) -> None:
    effect = judge.access_enforced(seen.effect)
    verdict(judge.reading(effect, seen.select(*seen.questions), effect))

"""Fields that an object's version does not define, in objects created with relaxed field validation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conformance.suite import (
    PORT_IN_TARGET,
    AccessTrials,
    Behaviour,
    Conclude,
    Malform,
    Scenario,
    Trial,
    TrialRegister,
    changed,
    drives_scenario,
    finding,
    judge,
    refused,
)

pytestmark = pytest.mark.scenario(
    "common/unknown-fields", arena=("access", "main"), groups=("split", "access", "specs"), alone=True
)

trials = TrialRegister(
    ["access/server", "access/other", "main/v1", "main/v2", "main/v3"],
    {"requests": 10, "baseline_responders": ()},
)


@drives_scenario
def seen(scenario: Scenario) -> AccessTrials:
    scenario.create_services()
    malformed: list[tuple[str, Malform]] = [("2-malformed.yaml", with_unknown_field)]
    if port_unknown(scenario):
        malformed.append(("2-with-port.yaml", with_port))
    states = {"/steady/first": "1-steady.yaml", "/steady/second": "3-steady.yaml"}
    return trials.run_beside_grants(
        scenario, states, judge.access_enforced, files=["2-valid.yaml"], malformed_files=malformed
    )


def without_effect(*by: str) -> tuple[Behaviour, ...]:
    """The field is dropped, refused, or stored without effect: the workloads ``by`` answer as without it."""
    return (
        Behaviour("a", by, field_stored=False),
        refused("b"),
        Behaviour("c", by, field_stored=True),
    )


def with_unknown_field(item: dict[str, Any]) -> dict[str, Any]:
    """A split with a field of no version, or a group with its matches where other versions have them."""
    if item["kind"] != "HTTPRouteGroup":
        return changed(item, (PERCENT, 100))
    headed = {key: item[key] for key in ("apiVersion", "kind", "metadata")}
    body = {key: value for key, value in item.items() if key not in headed}
    return {**headed, **body["spec"]} if "spec" in body else {**headed, "spec": body}


def misplaced_matches(scenario: Scenario, trial: Trial) -> Trial:
    """The trial with the path of the matches where the version does not have them."""
    under_spec = scenario.versions["specs"] not in {"v1alpha3", "v1alpha4"}
    return replace(trial, field="spec.matches" if under_spec else "matches")


OPENED = "it opens what a group of the right shape would not"
misplaced = trials.with_defaults(
    client="access/beta",
    service="access/other",
    object_name="misplaced",
    other_objects=("to-misplaced",),
    adapt=misplaced_matches,
)
MATCHED = misplaced.declare(
    "what its matches say",
    "matches where another version has them",
    (*without_effect(), Behaviour("", ("other",), field_stored=False, finding=OPENED)),
    path="/meant",
)
NOT_MATCHED = misplaced.declare(
    "what its matches do not say",
    "matches where another version has them",
    without_effect(),
    findings=[finding(OPENED, "other")],
    path="/else",
)
PERCENT = "spec.backends.1.percent"
SPLIT = trials.declare(
    "split",
    "an unknown field of a split's backend",
    without_effect("v2"),
    split="fielded",
    client="main/client",
    requests=120,
    baseline_responders=("v1",),
    field=PERCENT,
)


def port_unknown(scenario: Scenario) -> bool:
    return scenario.versions["access"] not in PORT_IN_TARGET


def with_port(target: dict[str, Any]) -> dict[str, Any]:
    return changed(target, (PORT, 8080))


PORT = "spec.destination.port"
WIDER = finding("the port opens what the target's routes do not", "other")
ported = trials.with_defaults(
    client="access/gamma",
    service="access/either-port",
    object_name="with-port",
    other_objects=("meant",),
    field=PORT,
    made_if=port_unknown,
)
QUESTION = "a port of a target whose version has none"
AT_PORT = ported.declare("its routes at the port", QUESTION, without_effect("other"), path="/meant")
AT_OTHER_PORT = ported.declare(
    "its routes at another port", QUESTION, without_effect("other"), path="/meant", port=8081
)
OTHER_ROUTE = ported.declare(
    "other routes at the port", QUESTION, without_effect(), findings=[WIDER], path="/else"
)


@pytest.mark.requirement("common-unknown-fields")
def test_an_unknown_field_follows_a_reading(seen: AccessTrials, verdict: Conclude) -> None:
    verdict(seen.reading(MATCHED, NOT_MATCHED, SPLIT, AT_PORT, AT_OTHER_PORT, OTHER_ROUTE))

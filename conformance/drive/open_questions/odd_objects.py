"""Objects in question, made or edited: those that the API server takes, and what it makes of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from conformance.clusters import ClusterError, Object, Refused
from conformance.drive.api_trials import IGNORE_UNKNOWN_FIELDS, HeadersRefused, attempt
from conformance.drive.open_questions.trials import Malform
from conformance.drive.scenario import Scenario
from conformance.model.evidence import AdmissionAttempt


def applied(scenario: Scenario, items: Iterable[dict[str, Any]]) -> dict[str, AdmissionAttempt]:
    """Apply those of these objects of fixtures that the API server takes; what it refused, by name."""
    refused: dict[str, AdmissionAttempt] = {}
    for item in items:
        name = item["metadata"]["name"]
        try:
            written = scenario.writer.objects_for_version([item])
        except HeadersRefused as error:
            refused[name] = error.attempts[0]
            continue
        for one in written:
            known = scenario.has_applied(one)
            refusal = _edited(scenario, one) if known else _made(scenario, one)
            if refusal is not None:
                refused[name] = refusal
    return refused


def _made(scenario: Scenario, item: Object) -> AdmissionAttempt | None:
    tried = attempt(scenario.cluster, item, item["metadata"]["name"], "either")
    if not tried.accepted:
        return tried
    scenario.apply_objects([item])
    return None


def _edited(scenario: Scenario, item: Object) -> AdmissionAttempt | None:
    """Raises ClusterError where an edit was neither made nor refused for what it says."""
    try:
        scenario.apply_objects([item])
    except Refused as error:
        tried = AdmissionAttempt(item["metadata"]["name"], "either", item, error.status, message=str(error))
        if not tried.refused:
            raise
        return tried
    return None


def malformed(
    scenario: Scenario, items: Iterable[tuple[Mapping[str, Any], Malform]]
) -> dict[str, AdmissionAttempt]:
    """Create objects that are not in their version's shape; what the API server made of each, by name."""
    tried: dict[str, AdmissionAttempt] = {}
    for item, reshape in items:
        name = item["metadata"]["name"]
        try:
            (written,) = scenario.writer.write([dict(item)])
        except HeadersRefused as error:
            tried[name] = error.attempts[0]
            continue
        tried[name] = _created(scenario, reshape(written), name)
    return tried


def _created(scenario: Scenario, item: Object, name: str) -> AdmissionAttempt:
    """Raises ClusterError where the object was neither created nor refused for what it says."""
    made = attempt(scenario.cluster, item, name, "either", IGNORE_UNKNOWN_FIELDS)
    if made.accepted:
        scenario.applied.append(dict(item))
    elif not made.refused:
        raise ClusterError(f"{item['kind']} {name} was not created: {made.message} (HTTP {made.status})")
    return made

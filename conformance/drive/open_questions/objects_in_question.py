"""Objects in question, created or edited: which of them the API server accepts, and what it stores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from conformance.clusters import ApiStatusError, ClusterError, Object
from conformance.drive.api_trials import IGNORE_UNKNOWN_FIELDS, HeadersRefused, attempt
from conformance.drive.open_questions.trials import Malform
from conformance.drive.scenario import Scenario
from conformance.model.evidence import AdmissionAttempt


def apply_accepted(scenario: Scenario, items: Iterable[dict[str, Any]]) -> dict[str, AdmissionAttempt]:
    """Apply the objects of fixtures that the API server accepts; returns its refusals, by name."""
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
            refusal = _edit(scenario, one) if known else _create(scenario, one)
            if refusal is not None:
                refused[name] = refusal
    return refused


def _create(scenario: Scenario, item: Object) -> AdmissionAttempt | None:
    """The refusal, if any."""
    tried = attempt(scenario.cluster, item, item["metadata"]["name"], "either")
    if not tried.accepted:
        return tried
    scenario.apply_objects([item])
    return None


def _edit(scenario: Scenario, item: Object) -> AdmissionAttempt | None:
    """The refusal, if any. Raises ClusterError for an edit that failed for another reason."""
    try:
        scenario.apply_objects([item])
    except ApiStatusError as error:
        tried = AdmissionAttempt(item["metadata"]["name"], "either", item, error.status, message=str(error))
        if not tried.refused:
            raise
        return tried
    return None


def create_malformed(
    scenario: Scenario, items: Iterable[tuple[Mapping[str, Any], Malform]]
) -> dict[str, AdmissionAttempt]:
    """Create objects out of their version's shape; returns what the API server made of each, by name."""
    tried: dict[str, AdmissionAttempt] = {}
    for item, malform in items:
        name = item["metadata"]["name"]
        try:
            (written,) = scenario.writer.write([dict(item)])
        except HeadersRefused as error:
            tried[name] = error.attempts[0]
            continue
        tried[name] = _create_relaxed(scenario, malform(written), name)
    return tried


def _create_relaxed(scenario: Scenario, item: Object, name: str) -> AdmissionAttempt:
    """Raises ClusterError for an object neither created nor refused for its content."""
    made = attempt(scenario.cluster, item, name, "either", IGNORE_UNKNOWN_FIELDS)
    if made.accepted:
        scenario.applied.append(dict(item))
    elif not made.refused:
        raise ClusterError(f"{item['kind']} {name} was not created: {made.message} (HTTP {made.status})")
    return made

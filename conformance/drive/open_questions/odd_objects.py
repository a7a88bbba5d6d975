"""Objects in question, made or edited: those that the API server takes, and what it makes of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from conformance.clusters import ClusterError, Object, Refused
from conformance.drive.api_trials import RELAXED, HeadersRefused, attempt
from conformance.drive.open_questions.trials import Reshape
from conformance.drive.scenario import Scenario
from conformance.model.evidence import Attempt


def applied(scenario: Scenario, items: Iterable[dict[str, Any]]) -> dict[str, Attempt]:
    """Apply those of these objects of fixtures that the API server takes; what it refused, by name."""
    refused: dict[str, Attempt] = {}
    for item in items:
        name = item["metadata"]["name"]
        try:
            written = scenario.writer.expressible([item])
        except HeadersRefused as error:
            refused[name] = error.attempts[0]
            continue
        for one in written:
            known = scenario.has_applied(one)
            refusal = _edited(scenario, one) if known else _made(scenario, one)
            if refusal is not None:
                refused[name] = refusal
    return refused


def _made(scenario: Scenario, item: Object) -> Attempt | None:
    tried = attempt(scenario.cluster, item, item["metadata"]["name"], "either")
    if not tried.accepted:
        return tried
    scenario.apply_objects([item])
    return None


def _edited(scenario: Scenario, item: Object) -> Attempt | None:
    """Raises ClusterError where an edit was neither made nor refused for what it says."""
    try:
        scenario.apply_objects([item])
    except Refused as error:
        tried = Attempt(item["metadata"]["name"], "either", item, error.status, message=str(error))
        if not tried.refused:
            raise
        return tried
    return None


def misshapen(scenario: Scenario, items: Iterable[tuple[Mapping[str, Any], Reshape]]) -> dict[str, Attempt]:
    """Create objects that are not in their version's shape; what the API server made of each, by name."""
    tried: dict[str, Attempt] = {}
    for item, reshape in items:
        name = item["metadata"]["name"]
        try:
            (written,) = scenario.writer.write([dict(item)])
        except HeadersRefused as error:
            tried[name] = error.attempts[0]
            continue
        tried[name] = _created(scenario, reshape(written), name)
    return tried


def _created(scenario: Scenario, item: Object, name: str) -> Attempt:
    """Raises ClusterError where the object was neither created nor refused for what it says."""
    made = attempt(scenario.cluster, item, name, "either", RELAXED)
    if made.accepted:
        scenario.applied.append(dict(item))
    elif not made.refused:
        raise ClusterError(f"{item['kind']} {name} was not created: {made.message} (HTTP {made.status})")
    return made

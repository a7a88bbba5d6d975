"""Splits whose backend or root lacks a Service or endpoints, which come or go later."""

from __future__ import annotations

import pytest

from conformance.suite import (
    Behaviour,
    Conclude,
    Prior,
    Scenario,
    SplitTrials,
    TrialRegister,
    answered,
    drives_scenario,
    finding,
    judge,
    unanswered,
)

pytestmark = pytest.mark.scenario(
    "traffic-split/odd-splits-without-endpoints", arena=("main",), groups=("split",), alone=True
)

ROOT = "v1"
trials = TrialRegister(
    ["main/v1", "main/v2", "main/v3", "main/v4"], {"client": "main/client", "baseline_responders": (ROOT,)}
)


@drives_scenario
def seen(scenario: Scenario) -> SplitTrials:
    scenario.create_services()
    return trials.run_beside_split(
        scenario,
        scenario.call("main/client", "main/steady-endpoints", requests=300),
        {"v2": "1-steady.yaml", "v3": "3-steady.yaml"},
        lambda effect: judge.everything_reaches(effect, "v2"),
        files=["2-odd.yaml"],
        earlier_files=["1-former.yaml"],
        late_files=["4-late.yaml"],
        objects=scenario.objects("2-emptied.yaml"),
    )


ALL_LOST = finding("what can be served is lost as well: every request fails")
ABSENT = (answered("a", "v2"), answered("b", "v2", failing=True), answered("c", ROOT), ALL_LOST)


def regained(backend: str) -> tuple[Behaviour, ...]:
    """How the readings look once a backend has endpoints after all."""
    lost = f"{backend} never gets its share"
    partly = (answered("b", "v2", finding=lost), answered("b", "v2", failing=True, finding=lost))
    return (answered("a", "v2", "v3"), *partly, answered("b", ROOT, finding=lost), ALL_LOST)


GHOST = trials.declare(
    "ghostly",
    "backend whose service does not exist",
    ABSENT,
    other_objects=("ghost",),
    sample_before_late_files=True,
)
GHOST_CREATED = trials.declare(
    "ghost made",
    "backend whose service is made later",
    regained("a backend that is made later"),
    split="ghostly",
    must_appear=("v3",),
)
EMPTY = trials.declare(
    "hollow-backed",
    "backend without endpoints",
    ABSENT,
    other_objects=("nobody",),
    sample_before_late_files=True,
)
EMPTY_FILLED = trials.declare(
    "nobody filled",
    "backend that gets endpoints later",
    regained("a backend that gets endpoints later"),
    split="hollow-backed",
    must_appear=("v3",),
)
BOTH_IN_FORCE = Prior(responders=("v2", "v3"), all_of=("v2", "v3"))
EMPTIED = trials.declare(
    "leaving",
    "backend whose endpoints go",
    ABSENT,
    findings=[finding("endpoints that are gone get their share still", "v2", "v3")],
    other_objects=("leaver",),
    prior=BOTH_IN_FORCE,
    must_disappear=("v3",),
    sample_before_late_files=True,
)
EMPTIED_REFILLED = trials.declare(
    "leaver back",
    "backend whose endpoints come back",
    regained("a backend whose endpoints come back"),
    split="leaving",
    prior=BOTH_IN_FORCE,
    must_appear=("v3",),
)


@pytest.mark.requirement("split-unavailable-backend")
def test_the_share_of_a_backend_without_endpoints_follows_a_reading(
    seen: SplitTrials, verdict: Conclude
) -> None:
    verdict(seen.reading(GHOST, EMPTY, GHOST_CREATED, EMPTY_FILLED, EMPTIED, EMPTIED_REFILLED))


MISSING_ROOT = trials.declare(
    "before its service",
    "root that there is no service of",
    (unanswered("a"), answered("b", "v2")),
    split="late",
    baseline_responders=(),
    sample_before_late_files=True,
)
LATE_ROOT = trials.declare(
    "late",
    "root that is made after its split",
    (answered("a", "v2"), answered("b", ROOT, finding="the split is never taken up")),
    findings=[finding("the root never answers")],
    baseline_responders=(),
    must_appear=("v2",),
)


@pytest.mark.requirement("split-root-service-missing")
def test_a_split_older_than_its_root_follows_a_reading(seen: SplitTrials, verdict: Conclude) -> None:
    verdict(seen.reading(MISSING_ROOT, LATE_ROOT))

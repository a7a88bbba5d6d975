"""The API of the suites, for a single import: scenario, effects, judges, evidence."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias, TypeVar, cast

import pytest

from conformance import judge
from conformance.catalogue import GROUPS
from conformance.clusters import Account, ClusterError, Object
from conformance.drive.api_reads import METRICS, claimed_kinds, served_kinds
from conformance.drive.api_trials import ABSENT, Change, changed
from conformance.drive.arena import READY_WITHIN_S
from conformance.drive.edit_propagation import observe_edits
from conformance.drive.ingress import granted, taken_up
from conformance.drive.manifests import load
from conformance.drive.open_questions.asking import REQUESTS, TrialResults, observe, observe_access
from conformance.drive.open_questions.trials import Malform, Trial, TrialPlan
from conformance.drive.polling import PollResult, classify_poll
from conformance.drive.property_trials import PropertyResult, check_property
from conformance.drive.scenario import (
    POLL_REQUESTS,
    POLL_REUSED,
    UNMESHED_SERVERS,
    AccessCheck,
    ExpectedResponders,
    Scenario,
    sampling,
)
from conformance.drive.traffic import CONCURRENCY, PATIENT_S, SendOptions
from conformance.drive.version_round_trip import conversions, versions_there, write
from conformance.judge.histograms import DELAYS_MS, EXPECTED_MS
from conformance.judge.metrics import shown_so_far, shown_window_s
from conformance.judge.metrics_api import CLUSTER_SCOPED, REFUSED, advertised
from conformance.judge.statistics import MIN_REQUESTS, sample_size
from conformance.model.evidence import (
    AccessTable,
    AdmissionAttempt,
    ApiRead,
    Behaviour,
    Call,
    Convergence,
    Conversion,
    EditTimeline,
    Effect,
    RoundTrip,
    Traffic,
    TrialResult,
)
from conformance.model.verdict import Judgement, Verdict
from conformance.profiles import ORDINARY_HOST, Ingress

__all__ = [  # noqa: RUF022 - grouped by purpose
    "judge",
    # the fixtures of a module
    "Conclude",
    "drives_scenario",
    # objects and traffic of a scenario
    "Scenario",
    "ExpectedResponders",
    "Effect",
    "AccessCheck",
    "AccessTable",
    "SendOptions",
    "PollResult",
    "sampling",
    "classify_poll",
    "load",
    "CONCURRENCY",
    "PATIENT_S",
    "POLL_REUSED",
    "POLL_REQUESTS",
    "READY_WITHIN_S",
    "UNMESHED_SERVERS",
    "Ingress",
    "ORDINARY_HOST",
    "granted",
    "taken_up",
    # requests to the API server
    "ABSENT",
    "Account",
    "Change",
    "ClusterError",
    "GROUPS",
    "METRICS",
    "Object",
    "changed",
    "claimed_kinds",
    "conversions",
    "served_kinds",
    "versions_there",
    "write",
    # open questions, edits, properties
    "PropertyResult",
    "TrialResults",
    "TrialPlan",
    "REQUESTS",
    "Malform",
    "Trial",
    "observe_edits",
    "check_property",
    "observe",
    "observe_access",
    # evidence, and the constants and functions of its judges
    "ApiRead",
    "AdmissionAttempt",
    "CLUSTER_SCOPED",
    "Call",
    "Conversion",
    "EditTimeline",
    "DELAYS_MS",
    "EXPECTED_MS",
    "Judgement",
    "MIN_REQUESTS",
    "Behaviour",
    "TrialResult",
    "REFUSED",
    "RoundTrip",
    "Convergence",
    "Traffic",
    "Verdict",
    "advertised",
    "sample_size",
    "shown_so_far",
    "shown_window_s",
]

T = TypeVar("T")
Drive: TypeAlias = Callable[[Scenario], Any]
"""Drives a scenario, and returns the evidence."""
Conclude: TypeAlias = Callable[[Judgement], None]
"""The ``verdict`` fixture: receives the judgement of a test."""

_DRIVES: dict[str, Drive] = {}


def drives_scenario(drive: Callable[[Scenario], T]) -> Callable[[Scenario], T]:
    """Turn the function that drives its module's scenario into the fixture that returns the evidence.

    A module has one such function; it may be called before its tests, in another thread.
    """

    @wraps(drive)
    def evidence(scenario: Scenario) -> T:
        return drive(scenario) if scenario.prefetched is None else cast(T, scenario.prefetched.result())

    _DRIVES[drive.__module__] = drive
    return cast("Callable[[Scenario], T]", pytest.fixture(scope="module")(evidence))


def drive_of(module: str) -> Drive | None:
    """The function that drives the scenario of an imported module, by the module's name."""
    return _DRIVES.get(module)

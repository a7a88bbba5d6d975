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
from conformance.drive.ingress import granted, with_ingress_class
from conformance.drive.manifests import load
from conformance.drive.metrics_load import (
    CHAIN,
    CHAIN_CALLS,
    ShownLoad,
    chain_edges,
    chain_totals,
    drive_load,
    wait_until_forgotten,
    wait_until_unloaded,
)
from conformance.drive.open_questions.addresses import by_cluster_ip, by_host, host_without_port
from conformance.drive.open_questions.looks import answered, finding, refused, same_or_changed, unanswered
from conformance.drive.open_questions.register import DeclaredTrial, Prior, TrialRegister, TrialRequest
from conformance.drive.open_questions.trial_runner import REQUESTS, AccessTrials, SplitTrials
from conformance.drive.open_questions.trials import Malform, Trial
from conformance.drive.polling import PollResult, classify_poll
from conformance.drive.property_trials import PropertyResult, check_property
from conformance.drive.scenario import (
    DENIED,
    GRANTED,
    POLL_REQUESTS,
    POLL_REUSED,
    UNMESHED_SERVERS,
    AccessCheck,
    ExpectedResponders,
    Scenario,
    sampling,
)
from conformance.drive.split_steps import (
    GONE_WITHIN_S,
    StepsUnderLoad,
    StepUnderLoad,
    delete_split,
    wait_until_gone,
)
from conformance.drive.traffic import CONCURRENCY, PATIENT_S, SendOptions
from conformance.drive.version_round_trip import (
    PORT_IN_TARGET,
    conversions,
    in_quantities,
    versions_there,
    versions_with_target_port,
    write,
)
from conformance.judge.histograms import EXPECTED_MS
from conformance.judge.metrics import shown_so_far, shown_window_s
from conformance.judge.metrics_api import CLUSTER_SCOPED, REFUSED, advertised
from conformance.judge.statistics import MIN_REQUESTS
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
    "GRANTED",
    "DENIED",
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
    "with_ingress_class",
    # steps in the life of a split
    "GONE_WITHIN_S",
    "StepUnderLoad",
    "StepsUnderLoad",
    "delete_split",
    "wait_until_gone",
    # a known load in TrafficMetrics
    "CHAIN",
    "CHAIN_CALLS",
    "ShownLoad",
    "chain_edges",
    "chain_totals",
    "drive_load",
    "wait_until_forgotten",
    "wait_until_unloaded",
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
    "PORT_IN_TARGET",
    "in_quantities",
    "versions_there",
    "versions_with_target_port",
    "write",
    # open questions, edits, properties
    "PropertyResult",
    "TrialRegister",
    "DeclaredTrial",
    "TrialRequest",
    "Prior",
    "answered",
    "unanswered",
    "refused",
    "finding",
    "same_or_changed",
    "by_host",
    "by_cluster_ip",
    "host_without_port",
    "Trial",
    "SplitTrials",
    "AccessTrials",
    "REQUESTS",
    "Malform",
    "observe_edits",
    "check_property",
    # evidence, and the constants and functions of its judges
    "ApiRead",
    "AdmissionAttempt",
    "CLUSTER_SCOPED",
    "Call",
    "Conversion",
    "EditTimeline",
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

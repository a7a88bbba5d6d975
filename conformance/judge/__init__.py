"""Judges: pure functions from evidence to a judgement. Nothing here can reach a socket."""

from __future__ import annotations

from conformance.judge.admission import header_form, headers_refused, refusals
from conformance.judge.combinators import (
    all_of,
    conditional_on,
    inconclusive,
    not_applicable,
    not_claimed,
    presumes,
    stands_on,
    taken_up_under_calls,
    unavailable,
)
from conformance.judge.error_rates import error_rates
from conformance.judge.events import misconfiguration_reported
from conformance.judge.grants import access_enforced
from conformance.judge.metrics import percentiles, request_counts
from conformance.judge.metrics_api import apiservice, discovery, object_fields, rbac
from conformance.judge.names import names_and_columns
from conformance.judge.open_questions import reading
from conformance.judge.ports import reaches_target_ports
from conformance.judge.registry import JUDGES, is_founded, rejudge
from conformance.judge.rollout import within_either_step
from conformance.judge.routing import (
    everything_reaches,
    no_request_failed,
    nothing_reaches,
    preserved,
    root_routing_restored,
)
from conformance.judge.smi_objects import groups_served, round_trips
from conformance.judge.starvation import discount_if_starved, starved
from conformance.judge.statistics import leak_bound, sample_size
from conformance.judge.topology import traffic_edges
from conformance.judge.weights import root_served_by_backends, weights_followed

__all__ = [
    "JUDGES",
    "access_enforced",
    "all_of",
    "apiservice",
    "conditional_on",
    "discount_if_starved",
    "discovery",
    "error_rates",
    "everything_reaches",
    "groups_served",
    "header_form",
    "headers_refused",
    "inconclusive",
    "is_founded",
    "leak_bound",
    "misconfiguration_reported",
    "names_and_columns",
    "no_request_failed",
    "not_applicable",
    "not_claimed",
    "nothing_reaches",
    "object_fields",
    "percentiles",
    "preserved",
    "presumes",
    "rbac",
    "reaches_target_ports",
    "reading",
    "refusals",
    "rejudge",
    "request_counts",
    "root_routing_restored",
    "root_served_by_backends",
    "round_trips",
    "sample_size",
    "stands_on",
    "starved",
    "taken_up_under_calls",
    "traffic_edges",
    "unavailable",
    "weights_followed",
    "within_either_step",
]

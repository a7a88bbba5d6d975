"""Judges: pure functions from evidence to a judgement. Nothing here can reach a socket."""

from __future__ import annotations

from conformance.judge.admission import header_form, headers_refused, refusals
from conformance.judge.combinators import (
    all_of,
    given,
    inconclusive,
    not_applicable,
    not_claimed,
    presumes,
    stands_on,
    taken_up_under_calls,
    unavailable,
)
from conformance.judge.error_rates import error_rates
from conformance.judge.events import told_at
from conformance.judge.grants import access
from conformance.judge.metrics import counts, percentiles
from conformance.judge.metrics_api import apiservice, discovery, object_fields, rbac
from conformance.judge.names import names_and_columns
from conformance.judge.objects import groups_served, round_trips
from conformance.judge.ports import lands_on
from conformance.judge.readings import reading
from conformance.judge.registry import JUDGES, is_founded, recall
from conformance.judge.rollout import stepped
from conformance.judge.routing import everything_reaches, nothing_reaches, preserved, restored, unharmed
from conformance.judge.starvation import in_environment, starved
from conformance.judge.statistics import leak_bound, sample_size
from conformance.judge.topology import edges
from conformance.judge.weights import opened, shares

__all__ = [
    "JUDGES",
    "access",
    "all_of",
    "apiservice",
    "counts",
    "discovery",
    "edges",
    "error_rates",
    "everything_reaches",
    "given",
    "groups_served",
    "header_form",
    "headers_refused",
    "in_environment",
    "inconclusive",
    "is_founded",
    "lands_on",
    "leak_bound",
    "names_and_columns",
    "not_applicable",
    "not_claimed",
    "nothing_reaches",
    "object_fields",
    "opened",
    "percentiles",
    "preserved",
    "presumes",
    "rbac",
    "reading",
    "recall",
    "refusals",
    "restored",
    "round_trips",
    "sample_size",
    "shares",
    "stands_on",
    "starved",
    "stepped",
    "taken_up_under_calls",
    "told_at",
    "unavailable",
    "unharmed",
]

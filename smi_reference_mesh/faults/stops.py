"""Faults by which one invalid object stops the processing of unrelated ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.faults.cluster import ANY_NUMBER
from smi_reference_mesh.faults.fault import Fault
from smi_reference_mesh.hooks import DefaultHooks
from smi_reference_mesh.kube.objects import Object, Workload, account_of, name_of, namespace_of
from smi_reference_mesh.kube.snapshot import ClusterSnapshot
from smi_reference_mesh.metrics.windowed_counts import WindowedCounts
from smi_reference_mesh.smi.parsing import Unreadable, regex

_LASTS_S = 12.0
"""The delay before a watch reopens after an unreadable object; longer than a change may take."""


class _SplitsStoppedBy(DefaultHooks):
    """Ignores all splits while one is invalid, and for some seconds after that."""

    def __init__(self, is_odd: Callable[[Object], bool], lasts_s: float) -> None:
        self._is_odd = is_odd
        self._lasts_s = lasts_s
        self._back_at = 0.0
        self._taken: tuple[Object, ...] = ()
        self._shown: tuple[ClusterSnapshot, ClusterSnapshot] | None = None

    def observe(self, counts: WindowedCounts, *, settled: bool) -> bool:
        if not 0.0 < self._back_at <= time.monotonic():
            return False
        self._back_at, self._shown = 0.0, None
        return True

    def snapshot(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        # The same snapshot must stay identical: values derived from it are cached by identity.
        if self._shown is None or self._shown[0] is not snapshot:
            self._shown = (snapshot, self._faulty(snapshot))
        return self._shown[1]

    def _faulty(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        splits = snapshot.of("trafficsplits")
        if any(self._is_odd(split) for split in splits):
            self._back_at = math.inf
        elif self._back_at == math.inf:
            self._back_at = time.monotonic() + self._lasts_s
        if not self._back_at:
            self._taken = splits
        return snapshot.replacing("trafficsplits", self._taken)


def _weighs_in_fractions(split: Object) -> bool:
    backends = (split.get("spec") or {}).get("backends") or []
    return any(one["weight"] != int(one["weight"]) for one in backends)


class _AccountStopped(DefaultHooks):
    """Freezes a workload's configuration while a grant to its account has an invalid path expression.

    Like a proxy that refuses all rules for one, when rules travel together.
    """

    def __init__(self) -> None:
        self._taken: dict[Workload, Configuration] = {}

    def configuration(
        self, configuration: Configuration, snapshot: ClusterSnapshot, workload: Workload
    ) -> Configuration:
        pods = [
            one
            for one in snapshot.of("pods")
            if (namespace_of(one), name_of(one)) == (workload.namespace, workload.name)
        ]
        stopped = any((workload.namespace, account_of(one)) in _unreadable(snapshot) for one in pods)
        if stopped and workload in self._taken:
            last = self._taken[workload]
            return replace(configuration, listeners=last.listeners, routes=last.routes)
        self._taken[workload] = configuration
        return configuration


def _unreadable(snapshot: ClusterSnapshot) -> set[tuple[str, str]]:
    """Accounts, by namespace and name, with a grant whose path expression does not compile."""
    broken = {
        (namespace_of(group), name_of(group))
        for group in snapshot.of("httproutegroups")
        for match in (group.get("spec") or {}).get("matches") or ()
        if not _compiles(match.get("pathRegex") or "")
    }
    return {
        (destination.get("namespace") or namespace_of(target), destination["name"])
        for target in snapshot.of("traffictargets")
        for destination in (target["spec"]["destination"],)
        for rule in target["spec"].get("rules") or ()
        if rule["kind"] == "HTTPRouteGroup" and (namespace_of(target), rule["name"]) in broken
    }


def _compiles(pattern: str) -> bool:
    try:
        regex(pattern)
    except Unreadable:
        return False
    return True


FAULTS = (
    Fault(
        "split-fraction-stops-all",
        "While a weight is a fraction no split is looked at, nor for twelve seconds after that.",
        frozenset(),
        lambda: _SplitsStoppedBy(_weighs_in_fractions, _LASTS_S),
        change=ANY_NUMBER,
        real_defects=("one-odd-object-stalls-everything",),
        expected_readings={"split-weight-fraction-or-negative": "weight of a half: unacceptable"},
    ),
    Fault(
        "broken-expression-stops-account",
        "While an expression for an account does not compile no other grant there takes effect.",
        frozenset(),
        _AccountStopped,
        expected_readings={
            "http-regex-dialect-and-invalid": (
                "what else is granted where an expression does not compile: unacceptable"
            ),
        },
    ),
)

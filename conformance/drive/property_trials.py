"""Trying drawn cases, and shrinking one that does not hold to a simpler one."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, configuration, example, given, seed, settings
from hypothesis.errors import FlakyFailure
from hypothesis.strategies import SearchStrategy

V = TypeVar("V")
E = TypeVar("E")

MAX_SHRINK_TRIALS = 12
"""Trials that a case which does not hold may take to be shrunk: each is driven on the cluster."""


class _Broken(Exception):
    """A case does not hold."""


@dataclass(slots=True)
class PropertyResult(Generic[V, E]):
    """The cases that were tried, in their order, and the simplest that was seen not to hold."""

    tried: list[tuple[V, E]] = field(default_factory=list)
    broken: tuple[V, E] | None = None


def check_property(
    cases: SearchStrategy[V],
    trial: Callable[[V], E],
    holds: Callable[[V, E], bool],
    *,
    first: V,
    number: int,
    start: int,
) -> PropertyResult[V, E]:
    """Try one case and up to ``number`` drawn ones until one does not hold, then up to SIMPLER simpler ones.

    Where the first does not hold nothing is drawn. The same ``start``, the seed of the random numbers, draws
    the same cases. No case is tried twice.
    """
    found: PropertyResult[V, E] = PropertyResult()
    known: dict[str, bool] = {}
    left = MAX_SHRINK_TRIALS

    def held(case: V) -> bool:
        nonlocal left
        key = repr(case)
        if key in known:
            return known[key]
        if found.broken is not None:
            if not left:
                return True
            left -= 1
        evidence = trial(case)
        found.tried.append((case, evidence))
        known[key] = holds(case, evidence)
        if not known[key]:
            # Only ever simpler cases are tried after the first.
            found.broken = (case, evidence)
        return known[key]

    @seed(start)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(cases)
    @example(first)
    def every(case: V) -> None:
        if not held(case):
            raise _Broken

    # It keeps notes, by default in the directory that the run was started in.
    with tempfile.TemporaryDirectory(prefix="smi-conformance-") as notes:
        configuration.set_hypothesis_home_dir(notes)
        try:
            with contextlib.suppress(_Broken, FlakyFailure):
                every()
        finally:
            configuration.set_hypothesis_home_dir(None)
    return found

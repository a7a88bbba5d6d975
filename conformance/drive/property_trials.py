"""Property-based trials: drawn cases, and shrinking of a case that does not hold."""

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
"""The maximum number of shrinking trials, each of which is driven on the cluster."""


class _Broken(Exception):
    """The property does not hold for a case."""


@dataclass(slots=True)
class PropertyResult(Generic[V, E]):
    """The tried cases, in order, and the simplest case for which the property does not hold."""

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
    """Try ``first`` and up to ``number`` drawn cases until one does not hold, then shrink that case.

    If ``first`` does not hold, no case is drawn. ``start`` is the random seed: the same seed draws the same
    cases. Shrinking takes up to `MAX_SHRINK_TRIALS` trials. No case is tried twice.
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
            # After the first such case, Hypothesis tries only simpler ones.
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

    # Hypothesis keeps a database, by default in the working directory.
    with tempfile.TemporaryDirectory(prefix="smi-conformance-") as notes:
        configuration.set_hypothesis_home_dir(notes)
        try:
            with contextlib.suppress(_Broken, FlakyFailure):
                every()
        finally:
            configuration.set_hypothesis_home_dir(None)
    return found

"""Faults: named ways to make the reference mesh break requirements, as real meshes have broken them.

Each names the requirements that it is about, and those that it drags along. A fault spoils the world before
the compiler sees it, a configuration after it, an object that is converted between versions, or an answer of
the metrics API; some change an object of the cluster, or add some to it, instead or as well.
The mesh itself has no branch for any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reference.spoiler import Faithful, Spoiler
from reference.world import Object


@dataclass(frozen=True, slots=True)
class Change:
    """A change to one object of the cluster: the path of the object, and what to make of it."""

    path: str
    edit: Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what goes wrong, which requirements that breaks, and which real defects it recreates.

    ``breaks`` are the requirements whose own statement is violated: where a reader would file the defect.
    ``drags`` are those that fail as well only because their scenarios stand on what it breaks, which their
    tests do not say (`presumes`).
    ``shows`` names readings of ambiguous requirements that must be seen under it, unlike without it, as
    "question: letter"; "question: unacceptable" where it brings about what no reading excuses, "question:
    none" where no reading fits. ``versions`` are those in which it shows, as ``--versions`` takes them.
    ``adds`` are objects that the cluster has under it, and not without it; ``without`` are groups (short
    names) of which it has no definitions under it, and which the mesh is not said to implement then.
    ``patient``: changes come late under it, so that nothing is given up as not coming any more.
    """

    id: str
    summary: str
    breaks: frozenset[str]
    spoiler: Callable[[], Spoiler] = Faithful
    change: Change | None = None
    adds: tuple[Object, ...] = ()
    without: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    versions: str = "newest"
    shows: Mapping[str, str] = field(default_factory=dict)
    patient: bool = False
    drags: frozenset[str] = frozenset()

    @property
    def fails(self) -> frozenset[str]:
        """The requirements that fail under it: those that it breaks, and those that it drags along."""
        return self.breaks | self.drags

    @property
    def concerns(self) -> frozenset[str]:
        """The requirements that fail under it or whose reading it changes."""
        return self.fails.union(self.shows)

    def __reduce__(self) -> tuple[Callable[[str], Fault], tuple[str]]:
        # Its functions cannot be sent to another process, which has them anyway.
        return known, (self.id,)


def _all() -> dict[str, Fault]:
    from reference.faults import (
        access,
        backends,
        cluster,
        conditions,
        grants,
        ingress,
        metrics,
        namespaces,
        protocols,
        readings,
        rollout,
        route_readings,
        routes,
        shapes,
        splits,
        stops,
        together,
        versions,
    )

    found: dict[str, Fault] = {}
    modules = (
        splits,
        backends,
        conditions,
        namespaces,
        ingress,
        rollout,
        readings,
        routes,
        route_readings,
        protocols,
        access,
        grants,
        together,
        metrics,
        cluster,
        shapes,
        stops,
        versions,
    )
    for module in modules:
        for fault in module.FAULTS:
            if fault.id in found:
                raise ValueError(f"two faults are called {fault.id}")
            found[fault.id] = fault
    return found


def __getattr__(name: str) -> Mapping[str, Fault]:
    # Made when first asked for: the modules of the faults need the classes above.
    if name == "FAULTS":
        globals()["FAULTS"] = found = _all()
        return found
    raise AttributeError(name)


FAULTS: Mapping[str, Fault]
"""All faults by id, in the order of the APIs that they are about."""


def known(fault: str) -> Fault:
    """The fault of an id. Raises KeyError for an unknown one."""
    return _all()[fault]


def load(fault: str) -> Spoiler:
    """A fresh spoiler for a fault. Raises KeyError for an unknown one."""
    return known(fault).spoiler()

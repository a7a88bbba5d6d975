"""What a fault is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smi_reference_mesh.kube.objects import Object
from smi_reference_mesh.spoiler import Faithful, Spoiler


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

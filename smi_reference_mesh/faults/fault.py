"""What a fault is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smi_reference_mesh.hooks import DefaultHooks, MeshHooks
from smi_reference_mesh.kube.objects import Object


@dataclass(frozen=True, slots=True)
class Change:
    """A change to one object of the cluster: the path of the object, and what to make of it."""

    path: str
    edit: Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what goes wrong, which requirements that breaks, and which real defects it recreates.

    ``breaks`` are the requirements whose own statement is violated: where a reader would file the defect.
    ``also_fails`` are those that fail as well only because their scenarios stand on what it breaks, which
    their tests do not say (`presumes`). ``expected_readings`` names readings of ambiguous requirements that
    must be seen under it, unlike without it, as "question: letter"; "question: unacceptable" where it brings
    about what no reading excuses, "question: none" where no reading fits. ``versions`` are those in which it
    shows, as ``--versions`` takes them. ``extra_objects`` are objects that the cluster has under it, and not
    without it; ``removed_groups`` are groups (short names) of which it has no definitions under it, and which
    the mesh is not said to implement then. ``late_changes``: changes come late under it, so that nothing is
    given up as not coming any more.
    """

    id: str
    summary: str
    breaks: frozenset[str]
    hooks: Callable[[], MeshHooks] = DefaultHooks
    change: Change | None = None
    extra_objects: tuple[Object, ...] = ()
    removed_groups: tuple[str, ...] = ()
    real_defects: tuple[str, ...] = ()
    versions: str = "newest"
    expected_readings: Mapping[str, str] = field(default_factory=dict)
    late_changes: bool = False
    also_fails: frozenset[str] = frozenset()

    @property
    def fails(self) -> frozenset[str]:
        """The requirements that fail under it: those that it breaks, and those that it drags along."""
        return self.breaks | self.also_fails

    @property
    def affected(self) -> frozenset[str]:
        """The requirements that fail under it or whose reading it changes."""
        return self.fails.union(self.expected_readings)

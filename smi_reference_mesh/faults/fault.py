"""The definition of a fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smi_reference_mesh.hooks import DefaultHooks, MeshHooks
from smi_reference_mesh.kube.objects import Object


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one object of the cluster: the path of the object, and an edit."""

    path: str
    edit: Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: what goes wrong, the requirements that break, and the real defects that it recreates.

    `breaks` are the requirements whose own statement is violated: where a reader would file the defect.
    `also_fails` are requirements that fail only because their scenarios depend on what it breaks, which their
    tests do not declare (`presumes`).

    `expected_readings` are the readings of ambiguous requirements that the suite must observe under the
    fault, and not without it: "question: letter", "question: unacceptable" for behaviour that no reading
    permits, "question: none" for behaviour that fits no reading. `versions` are those in which it shows, in
    the form of `--versions`.

    `extra_objects` exist in the cluster only under the fault; `removed_groups` are groups (short names) whose
    definitions are absent under it, and which the mesh then does not claim. `late_changes`: changes are late
    under it, so the suite must wait its full time for each.
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

    def __post_init__(self) -> None:
        for name in ("breaks", "also_fails"):
            if odd := [one for one in getattr(self, name) if "-" not in one]:
                # As of frozenset("some-id"), which is a set of letters.
                raise ValueError(f"fault {self.id}: {name} has no ids of requirements: {sorted(odd)}")

    @property
    def fails(self) -> frozenset[str]:
        """The requirements that fail under it, directly or as a consequence."""
        return self.breaks | self.also_fails

    @property
    def affected(self) -> frozenset[str]:
        """The requirements that fail under it or whose reading it changes."""
        return self.fails.union(self.expected_readings)

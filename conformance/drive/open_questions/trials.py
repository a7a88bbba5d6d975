"""Trials of open questions, and the objects that they are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.clusters import Object
from conformance.drive.scenario import ExpectedResponders
from conformance.drive.traffic import SendOptions
from conformance.model.evidence import Behaviour, Call


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTerms:
    """All of a trial but its call: the question, how each reading looks, and the objects in question.

    ``baseline_responders`` answer the call without the object in question, none if empty; None where that is
    open too. ``object_name`` names the object: if the API server refuses it, no sample is sent.
    ``other_objects`` are the names of objects that belong to it. ``isolated``: the object may stop a mesh, so
    its trials run apart from the others. The workloads of ``must_appear`` answer before the sample is drawn,
    those of ``must_disappear`` no longer do. ``options`` are those of the sample, which is spread over the
    profile's stable window unless given. ``field`` is the path of a field that the object's version does not
    define. ``sample_before_late_files``: the sample is drawn before the late files are applied;
    ``after_another_edit``: it is drawn after one more edit of the heartbeat.
    """

    name: str
    question: str
    looks: tuple[Behaviour, ...]
    baseline_responders: tuple[str, ...] | None
    object_name: str = ""
    other_objects: tuple[str, ...] = ()
    isolated: bool = False
    must_appear: tuple[str, ...] = ()
    must_disappear: tuple[str, ...] = ()
    options: SendOptions | None = None
    field: str = ""
    sample_before_late_files: bool = False
    after_another_edit: bool = False

    @property
    def object_names(self) -> frozenset[str]:
        """The names of all its objects."""
        return frozenset({self.object_name, *self.other_objects} - {""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(TrialTerms):
    """A trial with its call. ``prior`` must be in force before the object in question is applied."""

    call: Call
    prior: ExpectedResponders | None = None


Malform = Callable[[dict[str, Any]], dict[str, Any]]
"""Brings an object out of its version's shape."""


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """Trials, the files of their objects, and the workloads whose ledgers are read (``servers``).

    ``earlier_files`` hold the state that objects of ``files`` edit; ``late_files`` are applied once the mesh
    has taken up the others. Objects of ``malformed_files`` are brought out of their version's shape and
    created with relaxed field validation. ``objects`` are in question as well, and belong to no file. An
    object is applied only with a trial that names it.
    """

    trials: Sequence[Trial]
    servers: Sequence[str]
    files: Sequence[str] = ()
    late_files: Sequence[str] = ()
    earlier_files: Sequence[str] = ()
    malformed_files: Sequence[tuple[str, Malform]] = ()
    objects: Sequence[Object] = ()

    @property
    def groups(self) -> list[TrialGroup]:
        """The trials by shared objects, in their order."""
        found: list[TrialGroup] = []
        for trial in self.trials:
            own = TrialGroup((trial,), trial.object_names)
            sharing = [
                group
                for group in found
                if group.object_names & own.object_names or group.object_names == own.object_names
            ]
            found = [group for group in found if group not in sharing]
            found.append(TrialGroup.of([*sharing, own]))
        return found


@dataclass(frozen=True, slots=True)
class TrialGroup:
    """Trials that run at the same time, and the names of their objects.

    ``combined``: the trials are about several objects, any of which may hide the effect of another.
    """

    trials: tuple[Trial, ...]
    object_names: frozenset[str]
    combined: bool = False

    @classmethod
    def of(cls, groups: Sequence[TrialGroup], *, combined: bool = False) -> TrialGroup:
        """Groups merged into one."""
        names = frozenset[str]().union(*(group.object_names for group in groups))
        return cls(tuple(trial for group in groups for trial in group.trials), names, combined)

    @property
    def isolated(self) -> bool:
        """Whether any of its trials must run apart from other groups."""
        return any(trial.isolated for trial in self.trials)

    def owns(self, item: Mapping[str, Any]) -> bool:
        """Whether an object belongs to one of its trials."""
        return item["metadata"]["name"] in self.object_names

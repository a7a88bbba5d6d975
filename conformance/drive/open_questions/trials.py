"""What is declared of open questions: trials, and the objects that they are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.clusters import Object
from conformance.drive.scenario import ExpectedResponders
from conformance.drive.traffic import SendOptions
from conformance.model.evidence import Behaviour, Call


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of an open question: a call, what each reading makes of it, and who answers it otherwise.

    ``baseline_responders`` are those who answer without the object in question, nobody where there are none;
    None where it is open who would. ``object_name`` is the name of that object: where the API server refuses
    it, nothing is sent. ``beside`` are the names of the objects that belong to it. ``apart``: the object may
    stop a mesh, so it is asked about by itself. ``must_appear`` are those who answer sooner or later,
    ``must_disappear`` those who cease to. ``options`` is how the sample is sent, over the profile's stable
    window unless it is given. ``field`` is the path of the field in question, where that is one which the
    object's version does not define. ``sample_before_late_files``: the sample is drawn before the late files
    are applied; ``edited``: after one more edit of the sound object. ``prior`` is what is to be seen in force
    before the object is there, such as what it is an edit of.
    """

    name: str
    question: str
    call: Call
    looks: tuple[Behaviour, ...]
    baseline_responders: tuple[str, ...] | None
    object_name: str = ""
    must_appear: tuple[str, ...] = ()
    must_disappear: tuple[str, ...] = ()
    options: SendOptions | None = None
    field: str = ""
    sample_before_late_files: bool = False
    beside: tuple[str, ...] = ()
    apart: bool = False
    edited: bool = False
    prior: ExpectedResponders | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of the objects that it takes."""
        return frozenset({self.object_name, *self.beside} - {""})


Malform = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes of an object in its version's shape one that is not."""


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """Trials, the files of the objects in question, and the workloads whose ledgers are read.

    The files of ``late`` are applied when what the mesh makes of the others is there, those of ``earlier``
    before them: what objects in question are edits of. ``malformed`` are files of objects that are brought
    out of their version's shape, and created with field validation relaxed; ``written`` are objects in
    question that are written already. An object goes with the trials that name it; those of trials that are
    not made are not applied.
    """

    trials: Sequence[Trial]
    files: Sequence[str]
    servers: Sequence[str]
    late: Sequence[str] = ()
    earlier: Sequence[str] = ()
    malformed: Sequence[tuple[str, Malform]] = ()
    written: Sequence[Object] = ()

    @property
    def subjects(self) -> list[Subject]:
        """The trials by the objects that they share, in their order."""
        found: list[Subject] = []
        for trial in self.trials:
            mine = Subject((trial,), trial.names)
            shared = [one for one in found if one.names & mine.names or one.names == mine.names]
            found = [one for one in found if one not in shared]
            found.append(Subject.of([*shared, mine]))
        return found


@dataclass(frozen=True, slots=True)
class Subject:
    """Trials that are made at the same time, and the names of the objects that they are about."""

    trials: tuple[Trial, ...]
    names: frozenset[str]
    several: bool = False

    @classmethod
    def of(cls, each: Sequence[Subject], *, several: bool = False) -> Subject:
        """Subjects as one: of trials that share objects, or of ``several`` that are asked about together."""
        names = frozenset[str]().union(*(one.names for one in each))
        return cls(tuple(trial for one in each for trial in one.trials), names, several)

    @property
    def apart(self) -> bool:
        return any(one.apart for one in self.trials)

    def takes(self, item: Mapping[str, Any]) -> bool:
        """Whether an object is one of the subject's."""
        return item["metadata"]["name"] in self.names

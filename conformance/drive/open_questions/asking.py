"""Trying what the specification leaves open: odd objects beside a sound one, and what becomes of traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from conformance.drive.manifests import exists, load
from conformance.drive.open_questions import odd_objects
from conformance.drive.open_questions import sound as sounds
from conformance.drive.open_questions.looking import Baseline, as_usual, samples, until_still
from conformance.drive.open_questions.sound import Sound
from conformance.drive.open_questions.trials import Subject, Trial, TrialPlan
from conformance.drive.polling import classify_poll
from conformance.drive.scenario import SERVICES, AccessCheck, ExpectedResponders, Scenario
from conformance.model.evidence import (
    AccessTable,
    AdmissionAttempt,
    Convergence,
    Effect,
    Traffic,
    TrialResult,
)

T = TypeVar("T")

REQUESTS = 120
"""Requests of each trial of shares: a quarter is missed by a random draw with a probability below 10⁻¹⁴."""
NO_EFFECT = "no effect was seen in force"
NOT_WANTED = "this run does not ask for it"
NO_PRIOR = "what is sound was not seen in force before the object was there"


@dataclass(frozen=True, slots=True)
class TrialResults(Generic[T]):
    """What was seen in force before the odd objects, and the questions."""

    effect: T
    questions: Mapping[str, TrialResult]

    def select(self, *names: str) -> list[TrialResult]:
        """The questions of these trials."""
        return [self.questions[name] for name in names]


def observe(
    scenario: Scenario,
    odd: TrialPlan,
    first: tuple[ExpectedResponders, str],
    then: tuple[ExpectedResponders, str],
) -> TrialResults[Effect]:
    """Bring an effect of a split into force, and ask what is open beside it; its edits show what has stopped.

    ``first`` and ``then`` are what is to be seen of the split, and the file that brings it about.
    """
    (effect,) = scenario.apply_and_sample([first[0]], first[1], servers=odd.servers)
    sound = sounds.of_split(scenario, first, then, seen=effect.convergence.converged)
    return TrialResults(effect, asked(scenario, odd, sound))


def observe_access(
    scenario: Scenario,
    odd: TrialPlan,
    first: tuple[Sequence[AccessCheck], str],
    then: tuple[Sequence[AccessCheck], str],
) -> TrialResults[AccessTable]:
    """The same beside grants: ``first`` and ``then`` are asks, and the file that they are granted by."""
    effect = scenario.access(first[0], first[1], servers=odd.servers)
    seen = all((cell.traffic.answers > 0) == (cell.expect == "granted") for cell in effect.results)
    sound = sounds.of_access(scenario, first, then, seen=seen)
    return TrialResults(effect, asked(scenario, odd, sound))


def asked(scenario: Scenario, odd: TrialPlan, sound: Sound) -> dict[str, TrialResult]:
    """The questions of all trials, by name.

    What cannot stop a mesh is asked about together. Where it does all the same each object is tried by
    itself, as are those that may: so a trial tells what is there by its own object and no other.
    """
    asking = _Asking(scenario, odd, sound, stopped="" if sound.seen else NO_EFFECT)
    wanted = [one for one in odd.subjects if scenario.wants({trial.question for trial in one.trials})]
    together = [one for one in wanted if not one.apart]
    singly = [one for one in wanted if one.apart]
    found: dict[str, TrialResult] = {}
    for subject in odd.subjects:
        if subject not in wanted:
            found |= asking.unasked(subject, NOT_WANTED)
    if together:
        questions, doubtful = asking.ask(Subject.of(together, several=len(together) > 1), last=not singly)
        if doubtful and len(together) > 1 and not asking.stopped:
            singly = [*together, *singly]
        else:
            found |= questions
    for subject in singly:
        found |= asking.ask(subject)[0]
    return {one.name: found[one.name] for one in odd.trials}


class _Seen(NamedTuple):
    """The traffic of a trial, and the unrelated edit made while its object was there."""

    sample: Traffic
    unrelated_edit: Convergence


@dataclass(slots=True)
class _Asking:
    """Asks about one subject after another. ``stopped``: why nothing more can be told."""

    scenario: Scenario
    odd: TrialPlan
    sound: Sound
    stopped: str = ""

    def ask(self, subject: Subject, *, last: bool = False) -> tuple[dict[str, TrialResult], bool]:
        """The questions about a subject, and whether they are in doubt, as one object may hide another.

        Its objects are withdrawn again, but for the ``last`` that nothing is in doubt of.
        """
        if self.stopped:
            return self.unasked(subject, self.stopped), True
        baseline = self._before(subject)
        refused, stored = self._put(subject)
        sent = [
            one for one in subject.trials if one.object_name not in refused and not baseline[one.name].unasked
        ]
        found, doubtful = self._tried(subject, sent) if sent else ({}, False)
        questions = {
            one.name: replace(
                self._question(one, baseline[one.name]),
                sample=found[one.name].sample if one.name in found else None,
                unrelated_edit=found[one.name].unrelated_edit if one.name in found else None,
                refusal=refused.get(one.object_name),
                stored=stored.get(one.object_name) if one.field else None,
            )
            for one in subject.trials
        }
        if last and not doubtful:
            return questions, False
        return self._ended(subject, questions, doubtful)

    def unasked(self, subject: Subject, why: str) -> dict[str, TrialResult]:
        """The questions about a subject of which nothing is told, and why."""
        return {one.name: self._question(one, Baseline(None, why)) for one in subject.trials}

    def _question(self, trial: Trial, baseline: Baseline) -> TrialResult:
        return TrialResult(
            trial.name,
            trial.question,
            trial.looks,
            baseline.traffic,
            field=trial.field,
            object_name=trial.object_name or ", ".join(sorted(trial.names)),
            unasked=baseline.unasked,
        )

    def _before(self, subject: Subject) -> dict[str, Baseline]:
        """Each trial without its object, beside what that is an edit of."""
        found = as_usual(self.scenario, subject.trials, self.odd.servers)
        earlier = self._items(subject, self.odd.earlier)
        if not earlier:
            return found
        self.scenario.apply_objects(self.scenario.writer.write(earlier))
        priors: list[ExpectedResponders] = []
        for trial in subject.trials:
            if trial.prior is not None and trial.prior not in priors:
                priors.append(trial.prior)
        convergences, _ = self.scenario.wait_for_responders(
            [one.call for one in priors],
            lambda position, seen: classify_poll(
                seen, only=priors[position].responders, all_of=priors[position].must_appear
            ),
            [f"only {', '.join(sorted(one.responders))} answer" for one in priors],
        )
        absent = [
            one for one, convergence in zip(priors, convergences, strict=True) if not convergence.converged
        ]
        for trial in subject.trials:
            if trial.prior in absent:
                found[trial.name] = found[trial.name]._replace(unasked=NO_PRIOR)
        return found

    def _put(self, subject: Subject) -> tuple[dict[str, AdmissionAttempt], dict[str, AdmissionAttempt]]:
        """Apply the objects in question: what was refused of them, and what was stored of the misshapen."""
        refused = odd_objects.applied(self.scenario, self._items(subject, self.odd.files))
        self.scenario.apply_objects([one for one in self.odd.written if subject.takes(one)])
        stored = odd_objects.malformed(
            self.scenario,
            [
                (item, reshape)
                for file, reshape in self.odd.malformed
                for item in self._items(subject, [file])
            ],
        )
        return refused | {name: tried for name, tried in stored.items() if not tried.accepted}, stored

    def _items(self, subject: Subject, files: Iterable[str]) -> list[dict[str, Any]]:
        items = [item for file in files for item in load(f"{self.scenario.folder}/{file}")]
        return [item for item in items if subject.takes(item)]

    def _tried(self, subject: Subject, sent: Sequence[Trial]) -> tuple[dict[str, _Seen], bool]:
        """Edit the sound object and look at each trial, then at those under the late objects.

        The unrelated edit is made last and waited for: what a client's mesh makes of the odd objects is there
        by then, whatever it is. It is made once more where trials do not come to rest. Where it does not show
        several objects are in doubt, and not looked at; of a single one it is told what is there meanwhile.
        """
        unrelated_edit, doubtful = self.sound.edit(), False
        found: dict[str, _Seen] = {}
        for early in (True, False):
            drawn = [one for one in sent if one.sample_before_late_files is early and not one.edited]
            if not early:
                late = self._items(subject, self.odd.late)
                self.scenario.apply_objects(self.scenario.writer.write(late))
                # What comes later may be what the mesh goes on by.
                unrelated_edit = unrelated_edit if self.sound.seen or not late else self.sound.look()
            if drawn and unrelated_edit.converged and not (rest := until_still(self.scenario, drawn)).come:
                unrelated_edit, doubtful = self.sound.edit(), doubtful or not rest.alike
            if subject.several and not unrelated_edit.converged:
                return {}, True
            found |= self._sampled(drawn, unrelated_edit)
        again = [one for one in sent if one.edited]
        if again and unrelated_edit.converged:
            unrelated_edit = self.sound.edit()
        return found | self._sampled(again, unrelated_edit), subject.several and doubtful

    def _sampled(self, trials: Sequence[Trial], unrelated_edit: Convergence) -> dict[str, _Seen]:
        if not trials:
            return {}
        drawn = samples(self.scenario, trials, self.odd.servers)
        return {name: _Seen(sample, unrelated_edit) for name, sample in drawn.items()}

    def _ended(
        self, subject: Subject, questions: dict[str, TrialResult], doubtful: bool
    ) -> tuple[dict[str, TrialResult], bool]:
        """Withdraw a subject, and see that the mesh takes changes again before anything else is asked."""
        if not self._withdraw(subject):
            return questions, doubtful
        recovery = self.sound.recover()
        if recovery.took_s is not None and recovery.took_s <= self.scenario.profile.converge.within_s:
            return questions, doubtful
        if recovery.took_s is None:
            what = "these objects were" if subject.several else f"{', '.join(sorted(subject.names))} was"
            self.stopped = f"the mesh took no change in the {recovery.within_s:g} s after {what} deleted"
        if not subject.several:
            return {
                name: replace(one, recovery=recovery) if one.unrelated_edit else one
                for name, one in questions.items()
            }, doubtful
        return (self.unasked(subject, self.stopped) if doubtful and self.stopped else questions), True

    def _withdraw(self, subject: Subject) -> bool:
        """Delete the subject's objects, and bring services of the scenario back; whether there were any."""
        mine = [one for one in self.scenario.applied if subject.takes(one)]
        services = self.scenario.objects(SERVICES) if exists(f"{self.scenario.folder}/{SERVICES}") else []
        there = [one["metadata"] for one in mine if one["kind"] == "Service"]
        kept = [
            one
            for one in services
            if (one["metadata"]["namespace"], one["metadata"]["name"])
            in [(each["namespace"], each["name"]) for each in there]
        ]
        names = [one["metadata"]["name"] for one in kept]
        gone = [one for one in mine if one["kind"] != "Service" or one["metadata"]["name"] not in names]
        self.scenario.delete_objects(reversed(gone))
        self.scenario.apply_objects(kept)
        return bool(mine)

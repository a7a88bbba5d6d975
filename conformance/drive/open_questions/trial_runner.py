"""Runs trials: applies objects in question beside a valid one, and samples the traffic under them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from conformance import judge
from conformance.drive.manifests import SERVICES, exists, load
from conformance.drive.open_questions import heartbeat as heartbeats
from conformance.drive.open_questions import objects_in_question
from conformance.drive.open_questions.heartbeat import GrantStates, Heartbeat, SplitStates
from conformance.drive.open_questions.trial_traffic import Baseline, baselines, samples, wait_until_stable
from conformance.drive.open_questions.trials import Trial, TrialGroup, TrialPlan, TrialTerms
from conformance.drive.polling import classify_poll
from conformance.drive.scenario import ExpectedResponders, Scenario
from conformance.model.evidence import (
    AccessTable,
    AdmissionAttempt,
    Behaviour,
    Convergence,
    Effect,
    Traffic,
    TrialResult,
)
from conformance.model.verdict import Judgement

T = TypeVar("T")

REQUESTS = 120
"""Requests of a trial of shares: a random draw misses a quarter share with a probability below 10⁻¹⁴."""
NO_EFFECT = "no effect was seen in force"
NOT_WANTED = "this run does not ask for it"
NO_PRIOR = "what is sound was not seen in force before the object was there"


@dataclass(frozen=True, slots=True)
class TrialResults(Generic[T]):
    """The results of trials by name, and the effect in force before the objects in question.

    ``in_force`` is the judgement of that effect, without which no reading is observed.
    """

    effect: T
    in_force: Judgement
    by_name: Mapping[str, TrialResult]

    def select(self, *trials: TrialTerms) -> list[TrialResult]:
        """The results of these trials, but for those that this run does not make."""
        return [self.by_name[trial.name] for trial in trials if trial.name in self.by_name]

    def reading(self, *trials: TrialTerms) -> Judgement:
        """The readings that these trials show, beside the effect in force."""
        return judge.reading(self.in_force, self.select(*trials), self.in_force)

    def with_looks(self, trial: TrialTerms, looks: tuple[Behaviour, ...]) -> TrialResults[T]:
        """The same, where the looks of one trial follow from the result of another."""
        changed = replace(self.by_name[trial.name], looks=looks)
        return replace(self, by_name={**self.by_name, trial.name: changed})


SplitTrials: TypeAlias = TrialResults[Effect]
AccessTrials: TypeAlias = TrialResults[AccessTable]


def run_split_trials(
    scenario: Scenario, plan: TrialPlan, states: SplitStates, in_force: Callable[[Effect], Judgement]
) -> SplitTrials:
    """Bring the first state of a split into force, and run the trials beside it."""
    file = next(iter(states.files.values()))
    (effect,) = scenario.apply_and_sample(states.expected()[:1], file, servers=plan.servers)
    heartbeat = heartbeats.of_split(scenario, states, seen=effect.convergence.converged)
    return TrialResults(effect, in_force(effect), run_trials(scenario, plan, heartbeat))


def run_access_trials(
    scenario: Scenario, plan: TrialPlan, states: GrantStates, in_force: Callable[[AccessTable], Judgement]
) -> AccessTrials:
    """Bring the first state of grants into force, and run the trials beside them."""
    file = next(iter(states.files.values()))
    effect = scenario.access(states.checks(scenario)[0], file, servers=plan.servers)
    seen = all((cell.traffic.answers > 0) == (cell.expect == "granted") for cell in effect.results)
    heartbeat = heartbeats.of_grants(scenario, states, seen=seen)
    return TrialResults(effect, in_force(effect), run_trials(scenario, plan, heartbeat))


def run_trials(scenario: Scenario, plan: TrialPlan, heartbeat: Heartbeat) -> dict[str, TrialResult]:
    """The results of all trials, by name.

    Trials of objects that cannot stop a mesh run combined. If the mesh stops nevertheless, they run again
    group by group, as isolated ones always do: then only a group's own objects can explain its results.
    """
    runner = _TrialRunner(scenario, plan, heartbeat, stopped="" if heartbeat.seen else NO_EFFECT)
    groups = plan.groups
    wanted = [one for one in groups if scenario.wants({trial.question for trial in one.trials})]
    together = [one for one in wanted if not one.isolated]
    singly = [one for one in wanted if one.isolated]
    found: dict[str, TrialResult] = {}
    for group in groups:
        if group not in wanted:
            found |= runner.skip(group, NOT_WANTED)
    if together:
        several = len(together) > 1
        results, doubtful = runner.run(TrialGroup.of(together, combined=several), last=not singly)
        if doubtful and several and not runner.stopped:
            singly = [*together, *singly]
        else:
            found |= results
    for group in singly:
        found |= runner.run(group)[0]
    return {one.name: found[one.name] for one in plan.trials}


class _Sampled(NamedTuple):
    """The sample of a trial, and the unrelated edit made while its object was in force."""

    sample: Traffic
    unrelated_edit: Convergence


@dataclass(slots=True)
class _TrialRunner:
    """Runs one group after another. ``stopped`` is the reason why no further trial is conclusive, if any."""

    scenario: Scenario
    plan: TrialPlan
    heartbeat: Heartbeat
    stopped: str = ""

    def run(self, group: TrialGroup, *, last: bool = False) -> tuple[dict[str, TrialResult], bool]:
        """The results of a group, and whether they are doubtful, since one object may hide another.

        Its objects are deleted again, except after the ``last`` group if nothing is doubtful.
        """
        if self.stopped:
            return self.skip(group, self.stopped), True
        before = self._baselines(group)
        refused, stored = self._apply(group)
        sent = [
            one for one in group.trials if one.object_name not in refused and not before[one.name].unasked
        ]
        sampled, doubtful = self._sample(group, sent) if sent else ({}, False)
        results = {
            one.name: replace(
                _result(one, before[one.name]),
                sample=sampled[one.name].sample if one.name in sampled else None,
                unrelated_edit=sampled[one.name].unrelated_edit if one.name in sampled else None,
                refusal=refused.get(one.object_name),
                stored=stored.get(one.object_name) if one.field else None,
            )
            for one in group.trials
        }
        if last and not doubtful:
            return results, False
        return self._recover(group, results, doubtful)

    def skip(self, group: TrialGroup, why: str) -> dict[str, TrialResult]:
        """Results of a group that say only why nothing was tried, or why it is inconclusive."""
        return {one.name: _result(one, Baseline(None, why)) for one in group.trials}

    def _baselines(self, group: TrialGroup) -> dict[str, Baseline]:
        """The baseline of each trial; then the state that its object edits is in force."""
        found = baselines(self.scenario, group.trials, self.plan.servers)
        earlier = self._items(group, self.plan.earlier_files)
        if not earlier:
            return found
        self.scenario.apply_objects(self.scenario.writer.write(earlier))
        priors: list[ExpectedResponders] = []
        for trial in group.trials:
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
        for trial in group.trials:
            if trial.prior in absent:
                found[trial.name] = found[trial.name]._replace(unasked=NO_PRIOR)
        return found

    def _apply(self, group: TrialGroup) -> tuple[dict[str, AdmissionAttempt], dict[str, AdmissionAttempt]]:
        """Apply the objects in question; returns the refusals, and what was stored of malformed objects."""
        refused = objects_in_question.apply_accepted(self.scenario, self._items(group, self.plan.files))
        self.scenario.apply_objects([one for one in self.plan.objects if group.owns(one)])
        stored = objects_in_question.create_malformed(
            self.scenario,
            [
                (item, malform)
                for file, malform in self.plan.malformed_files
                for item in self._items(group, [file])
            ],
        )
        return refused | {name: tried for name, tried in stored.items() if not tried.accepted}, stored

    def _items(self, group: TrialGroup, files: Iterable[str]) -> list[dict[str, Any]]:
        items = [item for file in files for item in load(f"{self.scenario.folder}/{file}")]
        return [item for item in items if group.owns(item)]

    def _sample(self, group: TrialGroup, sent: Sequence[Trial]) -> tuple[dict[str, _Sampled], bool]:
        """Edit the heartbeat and sample each trial, then those that wait for the late objects.

        The unrelated edit comes last and is awaited: once it shows, a client's proxy has taken up the objects
        in question as well. Trials that do not become stable get one more edit. Without convergence, combined
        trials are doubtful and not sampled, whereas a single group is sampled nevertheless.
        """
        unrelated_edit, doubtful = self.heartbeat.edit(), False
        found: dict[str, _Sampled] = {}
        for early in (True, False):
            due = [
                one for one in sent if one.sample_before_late_files is early and not one.after_another_edit
            ]
            if not early:
                late = self._items(group, self.plan.late_files)
                self.scenario.apply_objects(self.scenario.writer.write(late))
                # A late object may be what makes a stopped mesh go on.
                if late and not self.heartbeat.seen:
                    unrelated_edit = self.heartbeat.look()
            if due and unrelated_edit.converged:
                stability = wait_until_stable(self.scenario, due)
                if not stability.reached:
                    unrelated_edit, doubtful = self.heartbeat.edit(), doubtful or not stability.alike
            if group.combined and not unrelated_edit.converged:
                return {}, True
            found |= self._draw(due, unrelated_edit)
        again = [one for one in sent if one.after_another_edit]
        if again and unrelated_edit.converged:
            unrelated_edit = self.heartbeat.edit()
        return found | self._draw(again, unrelated_edit), group.combined and doubtful

    def _draw(self, trials: Sequence[Trial], unrelated_edit: Convergence) -> dict[str, _Sampled]:
        if not trials:
            return {}
        drawn = samples(self.scenario, trials, self.plan.servers)
        return {name: _Sampled(sample, unrelated_edit) for name, sample in drawn.items()}

    def _recover(
        self, group: TrialGroup, results: dict[str, TrialResult], doubtful: bool
    ) -> tuple[dict[str, TrialResult], bool]:
        """Delete a group's objects, and wait until the mesh takes changes again."""
        if not self._delete(group):
            return results, doubtful
        recovery = self.heartbeat.recover()
        if recovery.took_s is not None and recovery.took_s <= self.scenario.profile.converge.within_s:
            return results, doubtful
        if recovery.took_s is None:
            what = "these objects were" if group.combined else f"{', '.join(sorted(group.object_names))} was"
            self.stopped = f"the mesh took no change in the {recovery.within_s:g} s after {what} deleted"
        if not group.combined:
            return {
                name: replace(one, recovery=recovery) if one.unrelated_edit else one
                for name, one in results.items()
            }, doubtful
        return (self.skip(group, self.stopped) if doubtful and self.stopped else results), True

    def _delete(self, group: TrialGroup) -> bool:
        """Delete a group's objects, and restore services of the scenario; whether there were any."""
        own = [one for one in self.scenario.applied if group.owns(one)]
        services = self.scenario.objects(SERVICES) if exists(f"{self.scenario.folder}/{SERVICES}") else []
        applied = [
            (one["metadata"]["namespace"], one["metadata"]["name"]) for one in own if one["kind"] == "Service"
        ]
        restored = [
            one for one in services if (one["metadata"]["namespace"], one["metadata"]["name"]) in applied
        ]
        names = [one["metadata"]["name"] for one in restored]
        gone = [one for one in own if one["kind"] != "Service" or one["metadata"]["name"] not in names]
        self.scenario.delete_objects(reversed(gone))
        self.scenario.apply_objects(restored)
        return bool(own)


def _result(trial: Trial, baseline: Baseline) -> TrialResult:
    return TrialResult(
        trial.name,
        trial.question,
        trial.looks,
        baseline.traffic,
        field=trial.field,
        object_name=trial.object_name or ", ".join(sorted(trial.object_names)),
        unasked=baseline.unasked,
    )

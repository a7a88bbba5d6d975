"""Trials as a suite declares them, each beside its test: by the names of fixtures, before a run exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict, Unpack

from conformance.clusters import Object
from conformance.drive.open_questions.heartbeat import GrantStates, SplitStates
from conformance.drive.open_questions.trial_runner import (
    REQUESTS,
    AccessTrials,
    SplitTrials,
    run_access_trials,
    run_split_trials,
)
from conformance.drive.open_questions.trials import Malform, Trial, TrialPlan, TrialTerms
from conformance.drive.scenario import ExpectedResponders, Scenario
from conformance.drive.traffic import SendOptions
from conformance.model.evidence import AccessTable, Behaviour, Call, Effect
from conformance.model.verdict import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """A call by the names of fixtures: a client (``main/client``) and a service (``main/root``)."""

    client: str
    service: str
    requests: int = REQUESTS
    port: int = 8080
    protocol: str = "http"
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)

    def call(self, scenario: Scenario) -> Call:
        """The call in a run. Raises NotClaimed where the mesh does not carry what the port speaks."""
        return scenario.call(
            self.client,
            self.service,
            requests=self.requests,
            port=self.port,
            protocol=self.protocol,
            method=self.method,
            path=self.path,
            headers=self.headers,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What must be in force before an object in question is applied, such as the state that it edits.

    Only ``responders`` answer, each of ``all_of`` at least once. ``request`` is the trial's own unless given,
    and is then unanswered before.
    """

    responders: tuple[str, ...]
    all_of: tuple[str, ...] = ()
    request: TrialRequest | None = None

    def expected(self, scenario: Scenario, call: Call) -> ExpectedResponders:
        """The same in a run; ``call`` is the trial's."""
        return ExpectedResponders(
            self.request.call(scenario) if self.request else call,
            frozenset(self.responders),
            frozenset(self.all_of),
            unreachable_before=self.request is not None,
        )


Adapt = Callable[[Scenario, Trial], Trial]
"""Fills in what only a run decides, such as an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredTrial(TrialTerms):
    """A trial whose call is yet to be addressed.

    It is made where the mesh carries the protocol ``carried``, if one is given, and ``made_if`` holds.
    """

    request: TrialRequest
    prior: Prior | None = None
    carried: str = ""
    made_if: Callable[[Scenario], bool] | None = None
    adapt: Adapt | None = None

    def made(self, scenario: Scenario) -> bool:
        """Whether this run makes the trial."""
        carried = not self.carried or scenario.carries(self.carried)
        return carried and (self.made_if is None or self.made_if(scenario))

    def trial(self, scenario: Scenario) -> Trial:
        """The trial in a run. Raises NotClaimed where the mesh does not carry what the port speaks."""
        terms: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(TrialTerms)}
        call = self.request.call(scenario)
        prior = self.prior.expected(scenario, call) if self.prior else None
        trial = Trial(**terms, call=call, prior=prior)
        return self.adapt(scenario, trial) if self.adapt else trial


class Given(TypedDict, total=False):
    """What a declaration may give: see `TrialRequest`, `TrialTerms` and `DeclaredTrial`."""

    client: str
    service: str
    requests: int
    port: int
    protocol: str
    method: str
    path: str
    headers: Mapping[str, str]
    baseline_responders: tuple[str, ...] | None
    object_name: str
    other_objects: tuple[str, ...]
    isolated: bool
    must_appear: tuple[str, ...]
    must_disappear: tuple[str, ...]
    options: SendOptions
    field: str
    sample_before_late_files: bool
    after_another_edit: bool
    prior: Prior
    carried: str
    made_if: Callable[[Scenario], bool]
    adapt: Adapt


class Files(TypedDict, total=False):
    """The objects in question: see `TrialPlan`."""

    files: Sequence[str]
    late_files: Sequence[str]
    earlier_files: Sequence[str]
    malformed_files: Sequence[tuple[str, Malform]]
    objects: Sequence[Object]


@dataclass(slots=True)
class TrialRegister:
    """The trials of a module, in the order of their declarations.

    The ledgers of ``servers`` are read. ``defaults`` hold for each trial that gives nothing else.
    """

    servers: Sequence[str]
    defaults: Given
    declared: list[DeclaredTrial] = field(default_factory=list)

    def with_defaults(self, **given: Unpack[Given]) -> TrialRegister:
        """The same register, with these defaults for what is declared through the result."""
        return TrialRegister(self.servers, {**self.defaults, **given}, self.declared)

    def declare(
        self,
        name: str,
        question: str,
        readings: Sequence[Behaviour],
        *,
        findings: Sequence[Behaviour] = (),
        split: str = "",
        **given: Unpack[Given],
    ) -> DeclaredTrial:
        """Enter a trial: its name, the question in the catalogue's words, and how each reading looks.

        ``findings`` are behaviours that are no reading. A trial without a service calls the root of a split
        of the same name, in the client's namespace: ``split``, which is the trial's name unless given. That
        split is the object in question unless another is given. Raises ValueError for a name that is taken.
        """
        if name in [one.name for one in self.declared]:
            raise ValueError(f"two trials are named {name!r}")
        terms: dict[str, Any] = {**self.defaults, **given}
        if "service" not in terms:
            terms["service"] = f"{terms['client'].partition('/')[0]}/{split or name}"
            terms.setdefault("object_name", split or name)
        sent = {key: terms.pop(key) for key in _REQUEST if key in terms}
        found = DeclaredTrial(
            name=name, question=question, looks=(*readings, *findings), request=TrialRequest(**sent), **terms
        )
        self.declared.append(found)
        return found

    def for_run(self, scenario: Scenario) -> list[Trial]:
        """The trials that a run makes. Raises as `DeclaredTrial.trial`."""
        return [one.trial(scenario) for one in self.declared if one.made(scenario)]

    def run_beside_split(
        self,
        scenario: Scenario,
        call: Call,
        states: Mapping[str, str],
        in_force: Callable[[Effect], Judgement],
        *,
        unreachable_before: bool = False,
        **files: Unpack[Files],
    ) -> SplitTrials:
        """Bring a valid split into force, which ``in_force`` judges, and run all trials beside it.

        ``states`` are its two states: by the only workload that answers ``call``, the file of the state.
        ``unreachable_before``: the call is unanswered without the split.
        """
        plan = TrialPlan(self.for_run(scenario), self.servers, **files)
        return run_split_trials(scenario, plan, SplitStates(call, states, unreachable_before), in_force)

    def run_beside_grants(
        self,
        scenario: Scenario,
        states: Mapping[str, str],
        in_force: Callable[[AccessTable], Judgement],
        **files: Unpack[Files],
    ) -> AccessTrials:
        """Bring valid grants into force, which ``in_force`` judges, and run all trials beside them.

        ``states`` are their two states: by the only path of access/server open to access/alpha, the file.
        """
        plan = TrialPlan(self.for_run(scenario), self.servers, **files)
        grants = GrantStates("access/alpha", "access/server", states)
        return run_access_trials(scenario, plan, grants, in_force)


_REQUEST = frozenset(one.name for one in fields(TrialRequest))

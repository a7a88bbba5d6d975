"""Trying what the specification leaves open: odd objects beside a sound one, and what becomes of traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from conformance.clusters import ClusterError, Object, Refused
from conformance.drive.dry_run import RELAXED, HeadersRefused, attempt
from conformance.drive.manifests import load
from conformance.drive.scenario import (
    APART,
    PEEK_REQUESTS,
    POLL,
    POLL_REQUESTS,
    Ask,
    Division,
    Effect,
    Scenario,
    Table,
)
from conformance.drive.sight import sight
from conformance.drive.traffic import Manner
from conformance.evidence import Attempt, Call, Look, Question, Traffic

T = TypeVar("T")

REQUESTS = 120
"""Requests of each trial of shares: a quarter is missed by a random draw with a probability below 10⁻¹⁴."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of an open question: a call, what each reading makes of it, and who answers it otherwise.

    ``usual`` are those who answer without the object in question, nobody where there are none; None where it
    is open who would. ``about`` is the name of that object: where the API server refuses it, nothing is sent.
    ``awaited`` are those who answer sooner or later, ``leaving`` those who cease to. ``manner`` is how the
    sample is sent, over the profile's stable window unless it is given. ``field`` is the path of the field in
    question, where that is one which the object's version does not define. ``early``: the sample is drawn
    before the late files are applied.
    """

    name: str
    of: str
    call: Call
    looks: tuple[Look, ...]
    usual: tuple[str, ...] | None
    about: str = ""
    awaited: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    manner: Manner | None = None
    field: str = ""
    early: bool = False


@dataclass(frozen=True, slots=True)
class Observed(Generic[T]):
    """What was seen in force before the odd objects, what of an edit made after them, and the questions."""

    effect: T
    bystander: T
    questions: Mapping[str, Question]

    def about(self, *names: str) -> list[Question]:
        """The questions of these trials."""
        return [self.questions[name] for name in names]


Reshape = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes of an object in its version's shape one that is not."""


@dataclass(frozen=True, slots=True)
class Odd:
    """Trials, the files of the objects in question, and the workloads whose ledgers are read.

    The files of ``late`` are applied when what the mesh makes of the others is there. ``prior`` is what else
    is to be seen in force before, where objects in question are edits. ``misshapen`` are files of objects
    that are brought out of their version's shape, and created with field validation relaxed; ``written`` are
    objects in question that are written already.
    """

    trials: Sequence[Trial]
    files: Sequence[str]
    servers: Sequence[str]
    late: Sequence[str] = ()
    prior: Sequence[Division] = ()
    misshapen: Sequence[tuple[str, Reshape]] = ()
    written: Sequence[Object] = ()


def observe(
    scenario: Scenario, odd: Odd, first: tuple[Division, str], then: tuple[Division, str]
) -> Observed[Effect]:
    """Bring an effect of a split into force, apply the odd objects, edit the split, and look at each trial.

    ``first`` and ``then`` are what is to be seen of the split, and the file that brings it about.
    """
    _as_usual(scenario, odd.trials)
    effect, *prior = scenario.effects([first[0], *odd.prior], first[1], servers=odd.servers)

    def edit() -> Effect:
        scenario.apply(then[1])
        (found,) = scenario.samples([then[0]], [effect.sample], odd.servers)
        return found

    return Observed(effect, *_tried(scenario, odd, edit, [one.before for one in prior]))


def observe_access(
    scenario: Scenario, odd: Odd, first: tuple[Sequence[Ask], str], then: tuple[Sequence[Ask], str]
) -> Observed[Table]:
    """The same beside grants: ``first`` and ``then`` are asks, and the file that they are granted by."""
    _as_usual(scenario, odd.trials)
    effect = scenario.access(first[0], first[1], servers=odd.servers)

    def edit() -> Table:
        return scenario.access(then[0], then[1], servers=odd.servers)

    return Observed(effect, *_tried(scenario, odd, edit))


def _tried(
    scenario: Scenario, odd: Odd, edit: Callable[[], T], earlier: Sequence[Traffic] = ()
) -> tuple[T, dict[str, Question]]:
    """Apply the odd objects and look at each trial.

    ``earlier`` is the traffic without what objects in question are edits of. The unrelated edit is made last
    and waited for: what a client's mesh makes of the odd objects is there by then, whatever it is. Each trial
    is spread over the profile's stable window.
    """
    calls = [replace(one.call, requests=min(POLL_REQUESTS, one.call.requests)) for one in odd.trials]
    polled = scenario.driver.send(calls, POLL, ledgers=odd.servers)
    before = [next((one for one in earlier if one.call == now.call), now) for now in polled]
    refused = _apply(scenario, odd.files)
    scenario.apply_objects(odd.written)
    stored = _misshapen(scenario, odd.misshapen)
    refused |= {name: tried for name, tried in stored.items() if not tried.accepted}
    bystander = edit()
    sent = [one for one in odd.trials if one.about not in refused]
    found: dict[str, Traffic] = {}
    for late in (False, True):
        if late:
            scenario.apply(*odd.late)
        drawn = [one for one in sent if one.early is not late]
        if drawn:
            _until_still(scenario, drawn)
            found |= _samples(scenario, drawn, odd.servers)
    return bystander, {
        one.name: Question(
            one.name,
            one.of,
            one.looks,
            earlier,
            found.get(one.name),
            refused.get(one.about),
            stored.get(one.about) if one.field else None,
            one.field,
        )
        for one, earlier in zip(odd.trials, before, strict=True)
    }


def _as_usual(scenario: Scenario, trials: Sequence[Trial]) -> None:
    """Wait until what an earlier scenario of the same names withdrew is gone."""
    alive = [one for one in trials if one.usual]
    usual = [frozenset(one.usual or ()) for one in alive]
    scenario.until_answered(
        [one.call for one in alive],
        lambda position, seen: sight(seen, only=usual[position], all_of=usual[position]),
        ["the root answers as without the object" for _ in alive],
    )
    scenario.until_dead([one.call for one in trials if one.usual == ()])


def _apply(scenario: Scenario, files: Sequence[str]) -> dict[str, Attempt]:
    """Apply the objects of these files that the API server takes; what it refused, by name."""
    refused: dict[str, Attempt] = {}
    for item in (item for file in files for item in load(f"{scenario.folder}/{file}")):
        name = item["metadata"]["name"]
        try:
            written = scenario.writer.expressible([item])
        except HeadersRefused as error:
            refused[name] = error.attempts[0]
            continue
        for one in written:
            known = scenario.has_applied(one)
            refusal = _edited(scenario, one) if known else _applied(scenario, one)
            if refusal is not None:
                refused[name] = refusal
    return refused


def _applied(scenario: Scenario, item: Object) -> Attempt | None:
    tried = attempt(scenario.cluster, item, item["metadata"]["name"], "either")
    if not tried.accepted:
        return tried
    scenario.apply_objects([item])
    return None


def _edited(scenario: Scenario, item: Object) -> Attempt | None:
    """Raises ClusterError where an edit was neither made nor refused for what it says."""
    try:
        scenario.apply_objects([item])
    except Refused as error:
        tried = Attempt(item["metadata"]["name"], "either", item, error.status, message=str(error))
        if not tried.refused:
            raise
        return tried
    return None


def _misshapen(scenario: Scenario, misshapen: Sequence[tuple[str, Reshape]]) -> dict[str, Attempt]:
    """Create objects that are not in their version's shape; what the API server made of each, by name."""
    tried: dict[str, Attempt] = {}
    for file, reshape in misshapen:
        for item in load(f"{scenario.folder}/{file}"):
            name = item["metadata"]["name"]
            try:
                (written,) = scenario.writer.write([item])
            except HeadersRefused as error:
                tried[name] = error.attempts[0]
                continue
            tried[name] = _created(scenario, reshape(written), name)
    return tried


def _created(scenario: Scenario, item: Object, name: str) -> Attempt:
    """Raises ClusterError where the object was neither created nor refused for what it says."""
    made = attempt(scenario.cluster, item, name, "either", RELAXED)
    if made.accepted:
        scenario.applied.append(dict(item))
    elif not made.refused:
        raise ClusterError(f"{item['kind']} {name} was not created: {made.message} (HTTP {made.status})")
    return made


def _until_still(scenario: Scenario, trials: Sequence[Trial]) -> None:
    """Wait until two polls in a row look the same, and those who are to come and to go have done so."""
    calls = [replace(one.call, requests=min(PEEK_REQUESTS, one.call.requests)) for one in trials]
    last: list[tuple[frozenset[str], bool]] = []

    def still() -> bool:
        sent = scenario.driver.send(calls, APART)
        now = [(frozenset(one.answered), one.answers == one.sent) for one in sent]
        same, last[:] = now == last, now
        waiting = [
            one
            for one, traffic in zip(trials, sent, strict=True)
            if not set(one.awaited) <= set(traffic.answered) or set(one.leaving) & set(traffic.answered)
        ]
        return same and not waiting

    scenario.until_changed(still, "two polls in a row look the same")


def _samples(scenario: Scenario, trials: Sequence[Trial], servers: Sequence[str]) -> dict[str, Traffic]:
    window = Manner(duration_s=scenario.profile.converge.stable_s)
    found: dict[str, Traffic] = {}
    together = [one for one in trials if one.manner is None]
    sent = scenario.driver.send([one.call for one in together], window, ledgers=servers) if together else []
    found.update(zip((one.name for one in together), sent, strict=True))
    for one in trials:
        if one.manner is not None:
            (found[one.name],) = scenario.driver.send([one.call], one.manner, ledgers=servers)
    return found

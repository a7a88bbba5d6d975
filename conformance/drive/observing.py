"""Trying what the specification leaves open: odd objects beside a sound one, and what becomes of traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from conformance.drive.dry_run import attempt
from conformance.drive.scenario import POLL, POLL_REQUESTS, Division, Effect, Scenario
from conformance.drive.traffic import Manner
from conformance.evidence import Attempt, Call, Look, Question, Traffic

REQUESTS = 120
"""Requests of each trial: a share of a quarter is missed by a random draw with a probability below 10⁻¹⁴."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of an open question: a call, what each reading makes of it, and who answers it otherwise.

    ``about`` is the name of the object in question: where the API server refuses it, nothing is sent.
    ``awaited``: sooner or later somebody answers. ``manner`` is how the sample is sent, over the profile's
    stable window unless it is given.
    """

    name: str
    of: str
    call: Call
    looks: tuple[Look, ...]
    usual: tuple[str, ...]
    about: str = ""
    awaited: bool = False
    manner: Manner | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """The effect seen in force before the odd objects, that of an edit made after them, and the questions."""

    effect: Effect
    bystander: Effect
    questions: Mapping[str, Question]

    def about(self, *names: str) -> list[Question]:
        """The questions of these trials."""
        return [self.questions[name] for name in names]


def observe(
    scenario: Scenario,
    trials: Sequence[Trial],
    *,
    first: tuple[Division, str],
    odd: Sequence[str],
    then: tuple[Division, str],
    servers: Sequence[str],
    late: Sequence[str] = (),
) -> Observed:
    """Bring an effect into force, apply the odd objects, edit the unrelated one, and look at each trial.

    The unrelated edit is made last and waited for: what a client's mesh makes of the odd objects is there
    by then, whatever it is. The files of ``late`` come after that. Each trial is spread over the profile's
    stable window.
    """
    _as_usual(scenario, trials)
    (effect,) = scenario.effects([first[0]], first[1], servers=servers)
    calls = [replace(one.call, requests=POLL_REQUESTS) for one in trials]
    before = scenario.driver.send(calls, POLL, ledgers=servers)
    refused = _apply(scenario, odd)
    scenario.apply(then[1])
    (bystander,) = scenario.samples([then[0]], [effect.sample], servers)
    scenario.apply(*late)
    _until_still(scenario, trials)
    found = _samples(scenario, [one for one in trials if one.about not in refused], servers)
    questions = {
        one.name: Question(one.name, one.of, one.looks, earlier, found.get(one.name), refused.get(one.about))
        for one, earlier in zip(trials, before, strict=True)
    }
    return Observed(effect, bystander, questions)


def _as_usual(scenario: Scenario, trials: Sequence[Trial]) -> None:
    """Wait until what an earlier scenario of the same names withdrew is gone."""
    alive = [one for one in trials if one.usual]
    scenario.until_answered(
        [one.call for one in alive],
        lambda position, seen: set(seen.answered) == set(alive[position].usual),
        ["the root answers as without the object" for _ in alive],
    )
    scenario.until_dead([one.call for one in trials if not one.usual])


def _apply(scenario: Scenario, files: Sequence[str]) -> dict[str, Attempt]:
    """Apply the objects of these files that the API server takes; what it refused, by name."""
    refused: dict[str, Attempt] = {}
    for item in (item for file in files for item in scenario.expressible(file)):
        tried = attempt(scenario.cluster, item, item["metadata"]["name"], "either")
        if tried.accepted:
            scenario.apply_objects([item])
        else:
            refused[item["metadata"]["name"]] = tried
    return refused


def _until_still(scenario: Scenario, trials: Sequence[Trial]) -> None:
    """Wait until two polls in a row look the same, and nobody waits for a first answer any more."""
    calls = [replace(one.call, requests=POLL_REQUESTS) for one in trials]
    last: list[tuple[frozenset[str], bool]] = []

    def still() -> bool:
        sent = scenario.driver.send(calls, POLL)
        now = [(frozenset(one.answered), one.answers == one.sent) for one in sent]
        same, last[:] = now == last, now
        waiting = [
            one for one, traffic in zip(trials, sent, strict=True) if one.awaited and not traffic.answers
        ]
        return same and not waiting

    scenario.until(still, "two polls in a row look the same")


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

"""Looking at trials: without their objects, until nothing changes any more, and over the stable window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from conformance.drive.open_questions.trials import Trial
from conformance.drive.polling import classify_poll
from conformance.drive.scenario import POLL_FRESH, POLL_REQUESTS, POLL_REUSED, SMALL_POLL_REQUESTS, Scenario
from conformance.drive.traffic import SendOptions
from conformance.model.evidence import Traffic

UNUSUAL = "the call was not answered as usual before the object was there"


class Baseline(NamedTuple):
    """The traffic of a trial without its object, and why nothing could be told under it, if so."""

    traffic: Traffic | None
    unasked: str = ""


def as_usual(scenario: Scenario, trials: Sequence[Trial], ledgers: Sequence[str]) -> dict[str, Baseline]:
    """Each trial without its object, once what was withdrawn is gone, and whether it is as it should be."""
    found: dict[str, Baseline] = {}
    alive = [one for one in trials if one.baseline_responders]
    usual = [frozenset(one.baseline_responders or ()) for one in alive]
    if alive:
        convergences, polls = scenario.wait_for_responders(
            [one.call for one in alive],
            lambda position, seen: classify_poll(seen, only=usual[position], all_of=usual[position]),
            ["the root answers as without the object" for _ in alive],
            ledgers,
        )
        for one, convergence, traffic in zip(alive, convergences, polls, strict=True):
            found[one.name] = Baseline(traffic, "" if convergence.converged else UNUSUAL)
    dead = [one for one in trials if one.baseline_responders == ()]
    for one, traffic in zip(
        dead, scenario.wait_until_unreachable([one.call for one in dead], ledgers), strict=True
    ):
        found[one.name] = Baseline(traffic, UNUSUAL if traffic.answers else "")
    anyhow = [one for one in trials if one.baseline_responders is None]
    if anyhow:
        calls = [replace(one.call, requests=min(POLL_REQUESTS, one.call.requests)) for one in anyhow]
        polls = scenario.driver.send(calls, POLL_REUSED, ledgers=ledgers)
        found.update(zip((one.name for one in anyhow), map(Baseline, polls), strict=True))
    return found


class Rest(NamedTuple):
    """Whether all trials came to rest as they should, and whether the last two polls looked the same."""

    come: bool
    alike: bool


def until_still(scenario: Scenario, trials: Sequence[Trial]) -> Rest:
    """Wait until two polls in a row look the same, and those who are to come and to go have done so."""
    calls = [replace(one.call, requests=min(SMALL_POLL_REQUESTS, one.call.requests)) for one in trials]
    last: list[tuple[frozenset[str], bool]] = []
    same = False

    def still() -> bool:
        nonlocal same
        sent = scenario.driver.send(calls, POLL_FRESH)
        now = [(frozenset(one.answered), one.answers == one.sent) for one in sent]
        same, last[:] = now == last, now
        waiting = [
            one
            for one, traffic in zip(trials, sent, strict=True)
            if not set(one.must_appear) <= set(traffic.answered)
            or set(one.must_disappear) & set(traffic.answered)
        ]
        return same and not waiting

    convergence = scenario.wait_for_propagation(still, "two polls in a row look the same")
    return Rest(convergence.converged, same)


def samples(scenario: Scenario, trials: Sequence[Trial], servers: Sequence[str]) -> dict[str, Traffic]:
    window = SendOptions(duration_s=scenario.profile.converge.stable_s)
    found: dict[str, Traffic] = {}
    together = [one for one in trials if one.options is None]
    sent = scenario.driver.send([one.call for one in together], window, ledgers=servers) if together else []
    found.update(zip((one.name for one in together), sent, strict=True))
    for one in trials:
        if one.options is not None:
            (found[one.name],) = scenario.driver.send([one.call], one.options, ledgers=servers)
    return found

"""Looking at trials: without their objects, until nothing changes any more, and over the stable window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from conformance.drive.open_questions.trials import Trial
from conformance.drive.polling import sight
from conformance.drive.scenario import APART, PEEK_REQUESTS, POLL, POLL_REQUESTS, Scenario
from conformance.drive.traffic import Manner
from conformance.model.evidence import Traffic

UNUSUAL = "the call was not answered as usual before the object was there"


class Before(NamedTuple):
    """The traffic of a trial without its object, and why nothing could be told under it, if so."""

    traffic: Traffic | None
    unasked: str = ""


def as_usual(scenario: Scenario, trials: Sequence[Trial], ledgers: Sequence[str]) -> dict[str, Before]:
    """Each trial without its object, once what was withdrawn is gone, and whether it is as it should be."""
    found: dict[str, Before] = {}
    alive = [one for one in trials if one.usual]
    usual = [frozenset(one.usual or ()) for one in alive]
    if alive:
        settlings, polls = scenario.until_answered(
            [one.call for one in alive],
            lambda position, seen: sight(seen, only=usual[position], all_of=usual[position]),
            ["the root answers as without the object" for _ in alive],
            ledgers,
        )
        for one, settling, traffic in zip(alive, settlings, polls, strict=True):
            found[one.name] = Before(traffic, "" if settling.settled else UNUSUAL)
    dead = [one for one in trials if one.usual == ()]
    for one, traffic in zip(dead, scenario.until_dead([one.call for one in dead], ledgers), strict=True):
        found[one.name] = Before(traffic, UNUSUAL if traffic.answers else "")
    anyhow = [one for one in trials if one.usual is None]
    if anyhow:
        calls = [replace(one.call, requests=min(POLL_REQUESTS, one.call.requests)) for one in anyhow]
        polls = scenario.driver.send(calls, POLL, ledgers=ledgers)
        found.update(zip((one.name for one in anyhow), map(Before, polls), strict=True))
    return found


class Rest(NamedTuple):
    """Whether all trials came to rest as they should, and whether the last two polls looked the same."""

    come: bool
    alike: bool


def until_still(scenario: Scenario, trials: Sequence[Trial]) -> Rest:
    """Wait until two polls in a row look the same, and those who are to come and to go have done so."""
    calls = [replace(one.call, requests=min(PEEK_REQUESTS, one.call.requests)) for one in trials]
    last: list[tuple[frozenset[str], bool]] = []
    same = False

    def still() -> bool:
        nonlocal same
        sent = scenario.driver.send(calls, APART)
        now = [(frozenset(one.answered), one.answers == one.sent) for one in sent]
        same, last[:] = now == last, now
        waiting = [
            one
            for one, traffic in zip(trials, sent, strict=True)
            if not set(one.awaited) <= set(traffic.answered) or set(one.leaving) & set(traffic.answered)
        ]
        return same and not waiting

    settling = scenario.until_changed(still, "two polls in a row look the same")
    return Rest(settling.settled, same)


def samples(scenario: Scenario, trials: Sequence[Trial], servers: Sequence[str]) -> dict[str, Traffic]:
    window = Manner(duration_s=scenario.profile.converge.stable_s)
    found: dict[str, Traffic] = {}
    together = [one for one in trials if one.manner is None]
    sent = scenario.driver.send([one.call for one in together], window, ledgers=servers) if together else []
    found.update(zip((one.name for one in together), sent, strict=True))
    for one in trials:
        if one.manner is not None:
            (found[one.name],) = scenario.driver.send([one.call], one.manner, ledgers=servers)
    return found

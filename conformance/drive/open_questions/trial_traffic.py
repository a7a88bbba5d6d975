"""The traffic of trials: the baseline without their objects, polls until nothing changes, and samples."""

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
    """The traffic of a trial without its objects, and the reason why the trial is void, if any."""

    traffic: Traffic | None
    unasked: str = ""


def baselines(scenario: Scenario, trials: Sequence[Trial], ledgers: Sequence[str]) -> dict[str, Baseline]:
    """The baseline of each trial, once objects withdrawn earlier no longer have an effect."""
    found: dict[str, Baseline] = {}
    answered = [one for one in trials if one.baseline_responders]
    expected = [frozenset(one.baseline_responders or ()) for one in answered]
    if answered:
        convergences, polls = scenario.wait_for_responders(
            [one.call for one in answered],
            lambda position, seen: classify_poll(seen, only=expected[position], all_of=expected[position]),
            ["the root answers as without the object" for _ in answered],
            ledgers,
        )
        for one, convergence, traffic in zip(answered, convergences, polls, strict=True):
            found[one.name] = Baseline(traffic, "" if convergence.converged else UNUSUAL)
    unanswered = [one for one in trials if one.baseline_responders == ()]
    for one, traffic in zip(
        unanswered, scenario.wait_until_unreachable([one.call for one in unanswered], ledgers), strict=True
    ):
        found[one.name] = Baseline(traffic, UNUSUAL if traffic.answers else "")
    undecided = [one for one in trials if one.baseline_responders is None]
    if undecided:
        calls = [replace(one.call, requests=min(POLL_REQUESTS, one.call.requests)) for one in undecided]
        polls = scenario.driver.send(calls, POLL_REUSED, ledgers=ledgers)
        found.update(zip((one.name for one in undecided), map(Baseline, polls), strict=True))
    return found


class Stability(NamedTuple):
    """Whether all trials became stable as expected, and whether the last two polls were alike at least."""

    reached: bool
    alike: bool


def wait_until_stable(scenario: Scenario, trials: Sequence[Trial]) -> Stability:
    """Wait until two polls in a row are alike, with all of ``must_appear`` and none of ``must_disappear``."""
    calls = [replace(one.call, requests=min(SMALL_POLL_REQUESTS, one.call.requests)) for one in trials]
    last: list[tuple[frozenset[str], bool]] = []
    alike = False

    def stable() -> bool:
        nonlocal alike
        sent = scenario.driver.send(calls, POLL_FRESH)
        now = [(frozenset(one.answered), one.answers == one.sent) for one in sent]
        alike, last[:] = now == last, now
        waiting = [
            one
            for one, traffic in zip(trials, sent, strict=True)
            if not set(one.must_appear) <= set(traffic.answered)
            or set(one.must_disappear) & set(traffic.answered)
        ]
        return alike and not waiting

    convergence = scenario.wait_for_propagation(stable, "two polls in a row look the same")
    return Stability(convergence.converged, alike)


def samples(scenario: Scenario, trials: Sequence[Trial], servers: Sequence[str]) -> dict[str, Traffic]:
    """The sample of each trial: all at once, but for those with options of their own."""
    window = SendOptions(duration_s=scenario.profile.converge.stable_s)
    found: dict[str, Traffic] = {}
    together = [one for one in trials if one.options is None]
    sent = scenario.driver.send([one.call for one in together], window, ledgers=servers) if together else []
    found.update(zip((one.name for one in together), sent, strict=True))
    for one in trials:
        if one.options is not None:
            (found[one.name],) = scenario.driver.send([one.call], one.options, ledgers=servers)
    return found

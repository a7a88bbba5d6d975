"""What of a split has no effect is told where its author looks: at the split."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from conformance.suite import AdmissionAttempt, ApiRead, Conclude, Judgement, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-split/misconfiguration", arena=("main",), groups=("split",), alone=True
)

MISTAKEN = ("TrafficSplit", "mistaken", "at-another-port")
"""Kind and name of the split, and the backend that it is told of."""
UNMESHED_SERVERS = {"sound": "mistaken", "at-the-same-port": "at-another-port"}
"""The names of the sound split beside it, and what stands in their place in the mistaken one."""


@dataclass(frozen=True)
class Told:
    """The events about the split before it was there and afterwards, and what admission made of it; and of
    the sound split beside it."""

    baseline: ApiRead
    after: ApiRead
    sent: AdmissionAttempt
    sound: ApiRead
    sound_sent: AdmissionAttempt
    within_s: float


@drives_scenario
def told(scenario: Scenario) -> Told:
    scenario.create_services()
    (split,), (sound,) = scenario.objects("split.yaml"), scenario.objects("sound.yaml")
    converge, events, now = scenario.profile.converge, scenario.reader.events, scenario.waiter.clock.now
    sent, sound_sent = scenario.dry_run(split), scenario.dry_run(sound)
    baseline = events(split)
    last = Told(baseline, baseline, sent, events(sound), sound_sent, converge.within_s)
    if not (sent.accepted and sound_sent.accepted):
        return last
    # The sound one first: what is told of every split is told of it no later than of the other.
    scenario.apply("sound.yaml", "split.yaml")
    since: list[float] = []

    def is_told() -> bool:
        nonlocal last
        last = replace(last, after=events(split), sound=events(sound))
        if _judged(last).passed:
            since.append(now())
        else:
            since.clear()
        return bool(since) and now() - since[0] >= converge.stable_s

    scenario.until(is_told, "an event names the backend, and none like it those of a sound split")
    return last


def _judged(told: Told) -> Judgement:
    return judge.misconfiguration_reported(
        told.baseline,
        told.after,
        told.sent,
        *MISTAKEN,
        told.within_s,
        told.sound,
        told.sound_sent,
        UNMESHED_SERVERS,
    )


@pytest.mark.requirement("split-misconfiguration-event")
def test_a_backend_that_is_left_out_for_its_port_is_named(told: Told, verdict: Conclude) -> None:
    verdict(
        judge.misconfiguration_reported(
            told.baseline,
            told.after,
            told.sent,
            *MISTAKEN,
            told.within_s,
            told.sound,
            told.sound_sent,
            UNMESHED_SERVERS,
        )
    )

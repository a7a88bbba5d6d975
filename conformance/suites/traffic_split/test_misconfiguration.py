"""Events on a split report the part of it that has no effect."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from conformance.suite import AdmissionAttempt, ApiRead, Conclude, Judgement, Scenario, drives_scenario, judge

pytestmark = pytest.mark.scenario(
    "traffic-split/misconfiguration", arena=("main",), groups=("split",), alone=True
)

MISTAKEN = ("TrafficSplit", "mistaken", "at-another-port")
"""Kind and name of the split, and the backend that the event must name."""
COUNTERPARTS = {"sound": "mistaken", "at-the-same-port": "at-another-port"}
"""By name in the valid split: the corresponding name in the mistaken one."""


@dataclass(frozen=True)
class Reported:
    """The events on the split before and after its creation, and its admission; the same of a valid split."""

    baseline: ApiRead
    after: ApiRead
    sent: AdmissionAttempt
    sound: ApiRead
    sound_sent: AdmissionAttempt
    within_s: float


@drives_scenario
def reported(scenario: Scenario) -> Reported:
    scenario.create_services()
    (split,), (sound,) = scenario.objects("split.yaml"), scenario.objects("sound.yaml")
    converge, events, now = scenario.profile.converge, scenario.reader.events, scenario.waiter.clock.now
    sent, sound_sent = scenario.dry_run(split), scenario.dry_run(sound)
    baseline = events(split)
    last = Reported(baseline, baseline, sent, events(sound), sound_sent, converge.within_s)
    if not (sent.accepted and sound_sent.accepted):
        return last
    # The valid split first: events that every split gets come no later for it than for the other.
    scenario.apply("sound.yaml", "split.yaml")
    since: list[float] = []

    def is_reported() -> bool:
        nonlocal last
        last = replace(last, after=events(split), sound=events(sound))
        if _judged(last).passed:
            since.append(now())
        else:
            since.clear()
        return bool(since) and now() - since[0] >= converge.stable_s

    scenario.until(is_reported, "an event names the backend, and none like it those of a sound split")
    return last


def _judged(reported: Reported) -> Judgement:
    return judge.misconfiguration_reported(
        reported.baseline,
        reported.after,
        reported.sent,
        *MISTAKEN,
        reported.within_s,
        reported.sound,
        reported.sound_sent,
        COUNTERPARTS,
    )


@pytest.mark.requirement("split-misconfiguration-event")
def test_an_event_names_a_backend_excluded_for_its_port(reported: Reported, verdict: Conclude) -> None:
    verdict(_judged(reported))

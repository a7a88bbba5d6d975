"""What of a split has no effect is told where its author looks: at the split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from conformance import judge
from conformance.drive.scenario import Scenario
from conformance.evidence import ApiRead, Attempt
from conformance.verdict import Judgement

pytestmark = pytest.mark.scenario("traffic-split/misconfiguration", arena=("main",), groups=("split",))

MISTAKEN = ("TrafficSplit", "mistaken", "at-another-port")
"""Kind and name of the split, and the backend that it is told of."""


@dataclass(frozen=True)
class Told:
    """The events about the split before it was there and afterwards, and what admission made of it."""

    before: ApiRead
    after: ApiRead
    sent: Attempt
    within_s: float


@pytest.fixture(scope="module")
def told(scenario: Scenario) -> Told:
    scenario.provide()
    (split,) = scenario.objects("split.yaml")
    within_s = scenario.profile.converge.within_s
    before, sent = scenario.reader.events(split), scenario.taken(split)
    if not sent.accepted:
        return Told(before, before, sent, within_s)
    scenario.apply("split.yaml")
    seen = [before]

    def is_told() -> bool:
        seen.append(scenario.reader.events(split))
        return judge.told_at(before, seen[-1], sent, *MISTAKEN, within_s).passed

    scenario.until(is_told, "an event names the backend")
    return Told(before, seen[-1], sent, within_s)


@pytest.mark.requirement("split-misconfiguration-event")
def test_a_backend_that_is_left_out_for_its_port_is_named(
    told: Told, verdict: Callable[[Judgement], None]
) -> None:
    verdict(judge.told_at(told.before, told.after, told.sent, *MISTAKEN, told.within_s))

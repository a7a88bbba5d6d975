"""Steps in the life of a split: changes under steady traffic, its deletion, and pods that come and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from conformance.drive.polling import classify_poll
from conformance.drive.scenario import POLL_REQUESTS, POLL_REUSED, ExpectedResponders, Scenario
from conformance.judge.statistics import MIN_REQUESTS
from conformance.model.evidence import Call, Effect, Traffic

GONE_WITHIN_S = 30.0
"""How long the pods of a deleted workload may take to end."""


@dataclass(frozen=True)
class StepUnderLoad:
    """The effect of a change, and the steady traffic from before it until after its sample."""

    effect: Effect
    during: list[Traffic]


@dataclass(slots=True)
class StepsUnderLoad:
    """Makes changes while ``call`` is sent steadily, ``rate_per_s`` times a second on each of two streams.

    The ledgers of ``servers`` are read; a change may add to them.
    """

    scenario: Scenario
    call: Call
    servers: list[str]
    rate_per_s: float

    def make(
        self,
        change: Callable[[], None],
        wanted: ExpectedResponders,
        last: Effect,
        *,
        more_s: float = 0.0,
    ) -> StepUnderLoad:
        """Make a change, wait until only the ``wanted`` responders answer, and sample its call.

        ``last`` is the effect of the step before: a responder that it lacks must appear. ``more_s`` is how
        long the change itself may wait.
        """
        # For a wait of the change, for its effect, and for enough steady traffic.
        duration_s = self.scenario.background_duration_s(3, more_s)
        with self.scenario.background_traffic(
            self.call, rate_per_s=self.rate_per_s, duration_s=duration_s
        ) as steady:
            change()
            new = replace(wanted, must_appear=wanted.responders - set(last.sample.answered))
            (effect,) = self.scenario.sample_once_converged([new], [last.sample], self.servers)
            # A quick change leaves too few requests in between to judge.
            self.scenario.wait_for_volume(
                lambda: all(sum(one.counts(self.servers).values()) > MIN_REQUESTS for one in steady),
                "enough steady traffic was seen",
            )
            return StepUnderLoad(effect, [one.stop(ledgers=self.servers) for one in steady])


def delete_split(
    scenario: Scenario,
    file: str,
    root: Call,
    before: Traffic,
    responders: frozenset[str],
    servers: list[str],
) -> Effect:
    """Delete a split, wait until all ``responders`` answer its root, and send the root's call.

    ``before`` is the traffic under the split.
    """
    scenario.delete(file)
    (convergence,), _ = scenario.wait_for_responders(
        [replace(root, requests=POLL_REQUESTS)],
        lambda _, seen: classify_poll(seen, all_of=responders),
        ["all pods of the root answer again"],
    )
    (after,) = scenario.driver.send([root], POLL_REUSED, ledgers=servers)
    return Effect(before, after, convergence)


def wait_until_gone(scenario: Scenario, name: str, what: str) -> None:
    """Wait until a deleted workload of main has no pods, which roots of other scenarios may select."""
    namespace = scenario.arena.namespace("main")
    scenario.until(
        lambda: not scenario.cluster.list("v1", "Pod", namespace, labels=f"app={name}"),
        what,
        within_s=GONE_WITHIN_S,
    )

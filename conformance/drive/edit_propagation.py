"""Steady traffic over several edits, and which of its answers are known to belong to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conformance.drive.scenario import Scenario
from conformance.drive.traffic import BackgroundTraffic, SendOptions
from conformance.model.evidence import Call, Convergence, Edit, EditTimeline

RATE_PER_S = 600.0
"""How many requests are sent in a second, where each is answered before the next is due."""
SEEN = 5 / 6
"""What part of them there must have been, of those that are due in the stable window."""


def observe_edits(
    scenario: Scenario,
    call: Call,
    edits: Sequence[tuple[str, str, str]],
    servers: Sequence[str],
    options: SendOptions,
) -> EditTimeline:
    """Make edits while a call is made steadily. Each is a file, who answers before it, and who after it.

    Clocks of clients and of this process are not compared. What servers have seen is read once the API server
    has answered: with one request under way at a time, all but that one of the later ones were sent
    afterwards. The next edit waits until the new state was seen for as many requests as the profile's stable
    window has. An edit that is not seen in time is the last.
    """
    began = scenario.waiter.clock.now()
    with scenario.driver.start(
        replace(call, requests=1),
        options,
        rate_per_s=RATE_PER_S,
        duration_s=scenario.background_duration_s(len(edits)),
    ) as steady:
        made: list[Edit] = []
        cut_short = False
        for file, old, new in edits:
            scenario.apply(file)
            accepted = steady.counts(servers)
            convergence, last = _held(scenario, steady, new, accepted, servers)
            made.append(Edit(old, new, sum(accepted.values()) + 1, sum(last.values())))
            cut_short = not convergence.converged
            if cut_short:
                break
        took = scenario.waiter.clock.now() - began
        runs, unanswered = steady.stop_with_order()
    sent = sum(count for _, count in runs) + unanswered
    rate_per_s = round(sent / took, 1) if took else RATE_PER_S
    return EditTimeline(call, rate_per_s, runs, tuple(made), unanswered, cut_short)


def _held(
    scenario: Scenario, steady: BackgroundTraffic, new: str, before: dict[str, int], servers: Sequence[str]
) -> tuple[Convergence, dict[str, int]]:
    """Wait until a workload has answered for the stable window; the counts that were seen last."""
    window_s = scenario.profile.converge.stable_s
    last = dict(before)

    def answered(least: float) -> bool:
        last.update(steady.counts(servers))
        return last.get(new, 0) - before.get(new, 0) >= least

    # The mesh has its time until it sends something there at all; how fast that is followed by more is the
    # machine's affair.
    convergence = scenario.wait_for_propagation(lambda: answered(1), f"{new} answers", may_rest=False)
    if convergence.converged:
        enough = SEEN * steady.rate_per_s * window_s
        convergence = scenario.wait_for_volume(lambda: answered(enough), f"{new} answers for {window_s:g} s")
    return convergence, last

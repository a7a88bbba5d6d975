"""Background traffic during several edits, and the answers that are known to follow each edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conformance.drive.scenario import Scenario
from conformance.drive.traffic import BackgroundTraffic, SendOptions
from conformance.model.evidence import Call, Convergence, Edit, EditTimeline

RATE_PER_S = 600.0
"""Requests per second, if each is answered before the next is due."""
SEEN = 5 / 6
"""The share of the requests due in the stable window that must have been answered."""


def observe_edits(
    scenario: Scenario,
    call: Call,
    edits: Sequence[tuple[str, str, str]],
    servers: Sequence[str],
    options: SendOptions,
) -> EditTimeline:
    """Apply edits during background traffic. Each edit is a file, the responder before it, and the one after.

    The clocks of clients and of this process are not compared. The servers' counts are read after the API
    server has answered: with one request in flight at a time, all later requests but that one were sent after
    the edit. The next edit waits until the new responder has answered the requests of the profile's stable
    window. An edit that does not show in time is the last.
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
            convergence, last = _wait_stable(scenario, steady, new, accepted, servers)
            made.append(Edit(old, new, sum(accepted.values()) + 1, sum(last.values())))
            cut_short = not convergence.converged
            if cut_short:
                break
        took = scenario.waiter.clock.now() - began
        runs, unanswered = steady.stop_with_order()
    sent = sum(count for _, count in runs) + unanswered
    rate_per_s = round(sent / took, 1) if took else RATE_PER_S
    return EditTimeline(call, rate_per_s, runs, tuple(made), unanswered, cut_short)


def _wait_stable(
    scenario: Scenario, steady: BackgroundTraffic, new: str, before: dict[str, int], servers: Sequence[str]
) -> tuple[Convergence, dict[str, int]]:
    """Wait until a workload has answered for the stable window; returns also the last counts."""
    window_s = scenario.profile.converge.stable_s
    last = dict(before)

    def answered(least: float) -> bool:
        last.update(steady.counts(servers))
        return last.get(new, 0) - before.get(new, 0) >= least

    # The mesh's time ends with the first answer; the rate of the following ones depends on the machine.
    convergence = scenario.wait_for_propagation(lambda: answered(1), f"{new} answers", may_rest=False)
    if convergence.converged:
        enough = SEEN * steady.rate_per_s * window_s
        convergence = scenario.wait_for_volume(lambda: answered(enough), f"{new} answers for {window_s:g} s")
    return convergence, last

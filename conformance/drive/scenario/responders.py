"""Who responds: waiting until the right workloads answer a call, and drawing a sample of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from conformance.drive.polling import PollResult, classify_poll
from conformance.drive.scenario.waits import Waits
from conformance.drive.traffic import SendOptions
from conformance.judge.share_test import ShareTest
from conformance.model.evidence import Call, Convergence, Effect, Traffic

POLL_REUSED = SendOptions(per_connection=3, concurrency=20)
"""A poll of sixty requests on twenty connections, or in proportion."""
POLL_FRESH = replace(POLL_REUSED, per_connection=1)
"""A poll on a connection per request. Where a mesh, or the network without it, chooses a backend once per
connection, twenty connections miss one of four pods once in three hundred polls, sixty practically never."""
POLL_REQUESTS = 60
SMALL_POLL_REQUESTS = 15
"""The requests of a poll that only has to show that a change is still missing."""
FAILED_SAMPLE_REQUESTS = 500
"""The sample of a change that missed its time: it fails for any share, and 500 requests show the state."""


@dataclass(frozen=True, slots=True)
class ExpectedResponders:
    """A call and the workloads that are expected to answer it, and no others.

    ``must_appear`` must all have answered before the sample is drawn: where a change adds a workload and
    silences none, only that workload's answers show that the change is in force. ``unreachable_before``:
    without the change nothing answers the call, so the baseline does not wait for an answer. ``share_test``
    ends the sample once it has judged its shares.
    """

    call: Call
    responders: frozenset[str]
    must_appear: frozenset[str] = frozenset()
    unreachable_before: bool = False
    share_test: ShareTest | None = None

    @classmethod
    def by_weight(
        cls,
        call: Call,
        weights: Mapping[str, int],
        workloads_by_backend: Mapping[str, Sequence[str]] | None = None,
        *,
        must_appear: frozenset[str] = frozenset(),
        unreachable_before: bool = False,
        samples_sharing_alpha: int = 1,
    ) -> Self:
        """A call that backends of a positive weight are expected to answer, sampled to judge their shares.

        The sample's size replaces that of the call. The other parameters are those of `ShareTest`. Raises
        ValueError for weights without a positive sum.
        """
        test = ShareTest(weights, workloads_by_backend or {}, samples_sharing_alpha)
        responders = frozenset(
            one for name, weight in weights.items() if weight for one in test.workloads(name)
        )
        sampled = replace(call, requests=test.most)
        return cls(sampled, responders, must_appear, unreachable_before, test)


class Responders(Waits):
    """The waits and samples of a scenario that are about the responding workloads."""

    __slots__ = ()

    def wait_for_responders(
        self,
        calls: Sequence[Call],
        by: Callable[[int, Traffic], PollResult],
        what: Sequence[str],
        ledgers: Sequence[str] = (),
        options: SendOptions = POLL_REUSED,
        *,
        discover: bool = True,
    ) -> tuple[list[Convergence], list[Traffic]]:
        """Wait until a poll of every call satisfies ``by`` (of the call's position and the poll's traffic).

        Each call has its own convergence, described by ``what``: a call that never satisfies says nothing of
        the others. After a poll with a contradiction the next polls are small, until one has none; it counts
        only if a whole poll confirms it. Returns the convergences and the traffic of the last whole poll with
        the ledgers of the given workloads.
        """
        start = self.waiter.clock.now()
        since: list[float | None] = [None for _ in calls]
        last: list[Traffic] = []
        whole, promising = False, True

        def check() -> bool:
            nonlocal whole, promising
            whole = promising
            requests = POLL_REQUESTS if whole else SMALL_POLL_REQUESTS
            polls = [replace(call, requests=requests) for call in calls]
            # Whatever the whole poll shows was there when it began, however long it took on a busy machine.
            elapsed = self.waiter.clock.now() - start
            last[:] = self.driver.send(polls, options, ledgers=ledgers if whole else ())
            found = [by(position, traffic) for position, traffic in enumerate(last)]
            for position, result in enumerate(found):
                if result is not PollResult.SATISFIED:
                    since[position] = None
                elif since[position] is None:
                    since[position] = elapsed
            promising = PollResult.CONTRADICTED not in found
            return whole and None not in since

        convergence = self.wait_for_propagation(check, "; ".join(dict.fromkeys(what)), discover=discover)
        if not whole:
            promising = True
            check()
        return self._each(convergence, what, since), last

    def wait_until_unreachable(self, calls: Sequence[Call], ledgers: Sequence[str] = ()) -> list[Traffic]:
        """Wait until these calls get no answer. Returns the last poll, as `wait_for_responders` does."""
        polls = [replace(call, requests=POLL_REQUESTS) for call in calls]
        last: list[Traffic] = []

        def check() -> bool:
            last[:] = self.driver.send(polls, POLL_REUSED, ledgers=ledgers)
            return not any(traffic.answers for traffic in last)

        if polls:
            self.wait_for_propagation(check, "nobody answers")
        return last

    def apply_and_sample(
        self, wanted: Sequence[ExpectedResponders], *names: str, servers: Iterable[str]
    ) -> list[Effect]:
        """Poll the baseline, apply these files, wait for the expected responders, and sample each call.

        The wait is for all other workloads to stop answering, which only this change can bring about. No
        poll looks at shares, so the wait cannot make a wrong share right. The baseline waits first until
        another workload answers, as the deletion of an earlier scenario's objects may take a while to show;
        where none does, the null control reports it. The baseline is the last poll of that wait: a mesh may
        learn of a new Service before its endpoints, so one answer does not mean stable. Its polls use a
        connection per request, so that every workload that must stop answering is seen before.
        """
        ledgers = list(servers)
        alive = [each for each in wanted if not each.unreachable_before]
        _, answered = self.wait_for_responders(
            [each.call for each in alive],
            lambda position, seen: _still_as_before(alive[position], seen),
            ["the root answers as without the change" for _ in alive],
            ledgers,
            POLL_FRESH,
        )
        unreachable = [each.call for each in wanted if each.unreachable_before]
        unanswered, others = iter(self.wait_until_unreachable(unreachable, ledgers)), iter(answered)
        baseline = [next(unanswered if each.unreachable_before else others) for each in wanted]
        self.apply(*names)
        return self.sample_once_converged(wanted, baseline, ledgers)

    def sample_once_converged(
        self, wanted: Sequence[ExpectedResponders], baseline: Sequence[Traffic], servers: Iterable[str]
    ) -> list[Effect]:
        """The second half of `apply_and_sample`, after a change that was made already.

        Where the change does not show in time the sample is small.
        """
        ledgers = list(servers)
        convergences, last = self.wait_for_responders(
            [each.call for each in wanted],
            lambda position, seen: _as_expected(wanted[position], seen),
            [f"only {', '.join(sorted(each.responders))} answer" for each in wanted],
        )
        drawn: list[Traffic] = []
        # One batch after the other: two at once would share a processor and a client's connections.
        for each, poll, convergence in zip(wanted, last, convergences, strict=True):
            most = each.call.requests if convergence.converged else FAILED_SAMPLE_REQUESTS
            call = replace(each.call, requests=min(each.call.requests, most))
            options = replace(sampling(poll), share_test=each.share_test)
            drawn += self.driver.send([call], options, ledgers=ledgers)
        return [Effect(*parts) for parts in zip(baseline, drawn, convergences, strict=True)]


def sampling(poll: Traffic) -> SendOptions:
    """Reused connections, or new ones where a poll showed that the mesh chooses once per connection."""
    return SendOptions(
        new_connections=bool(poll.connections) and poll.connections == poll.uniform_connections
    )


def _as_expected(wanted: ExpectedResponders, seen: Traffic) -> PollResult:
    return classify_poll(seen, only=wanted.responders, all_of=wanted.must_appear)


def _still_as_before(wanted: ExpectedResponders, seen: Traffic) -> PollResult:
    """Whether a baseline poll differs from the state that the change is expected to bring about."""
    if _as_expected(wanted, seen) is PollResult.SATISFIED:
        return PollResult.CONTRADICTED
    return classify_poll(seen)
